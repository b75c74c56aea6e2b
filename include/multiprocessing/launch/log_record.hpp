// SPDX-License-Identifier: BSL-1.0
// What a process logs: one record, its levels, and who takes it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

namespace multiprocessing {

/// How much a record matters. Any number between these is a level, too.
/// Python: the levels of logging, and multiprocessing.util.SUBDEBUG and SUBWARNING
enum class LogLevel : int {
  notset = 0,
  subdebug = 5,
  debug = 10,
  info = 20,
  subwarning = 25,
  warning = 30,
  error = 40,
  critical = 50,
};

/// "DEBUG"; "Level 15" where it has no name.
inline std::string to_string(LogLevel level) {
  switch (level) {
    case LogLevel::notset:
      return "NOTSET";
    case LogLevel::subdebug:
      return "SUBDEBUG";
    case LogLevel::debug:
      return "DEBUG";
    case LogLevel::info:
      return "INFO";
    case LogLevel::subwarning:
      return "SUBWARNING";
    case LogLevel::warning:
      return "WARNING";
    case LogLevel::error:
      return "ERROR";
    case LogLevel::critical:
      return "CRITICAL";
  }
  return "Level " + std::to_string(static_cast<int>(level));
}

/// Picklable, so that it travels in any queue or pipe. Python: logging.LogRecord
struct LogRecord {
  /// What was logged, by whom and when.
  LogLevel level = LogLevel::notset;
  std::string process_name;
  pid_t pid = 0;  ///< of the process that logged it
  std::chrono::system_clock::time_point time;
  std::string text;
};

/// "[WARNING/Process-1] text". A text of several lines has this once, before its first.
inline std::string format_record(LogRecord const& record) {
  auto line = "[" + to_string(record.level);
  return line.append("/").append(record.process_name).append("] ").append(record.text);
}

/// Takes records where they are logged. Forked children have a copy.
/// Python: logging.Handler; differs: no level, no formatter, and no lock
class LogHandler {
 public:
  LogHandler() = default;
  LogHandler(LogHandler const&) = delete;
  LogHandler& operator=(LogHandler const&) = delete;
  virtual ~LogHandler() = default;

  /// Called by whichever thread logs, by several at once. What it logs itself goes to the other
  /// handlers. A std::exception that it throws is dropped, with the record.
  /// Fork: a process does not fork while a thread is in here, so no child finds a lock taken that
  /// only handlers take; but it waits for that a second at most.
  virtual void handle(LogRecord const& record) = 0;
};

}  // namespace multiprocessing
