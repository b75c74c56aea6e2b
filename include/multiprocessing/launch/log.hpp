// SPDX-License-Identifier: BSL-1.0
// The logger of a process: a level, and handlers behind it. Forked children inherit both by the
// copy of the memory, spawned ones by LogSettings.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <multiprocessing/launch/log_record.hpp>  // IWYU pragma: export

namespace multiprocessing {

/// There is one a process. A record of a level that is not enabled costs the look at the level.
/// Without a handler nothing is written.
///
/// Threads: all members safe, also inside handlers. Processes: each has its own; what is set in one
/// after a fork changes nothing in the others. Fork: as LogHandler::handle(). Logging keeps errno,
/// and throws only what a handler throws that is no std::exception; a record for which there is no
/// memory is lost. Python: what multiprocessing.get_logger returns
class Logger {
 public:
  /// What get_logger() returns.
  static Logger& of_this_process() noexcept;
  Logger(Logger const&) = delete;
  Logger& operator=(Logger const&) = delete;

  /// As it was set; notset before.
  LogLevel level() const noexcept { return static_cast<LogLevel>(level_number()); }
  /// Records below it are not logged. notset: those below warning.
  void set_level(LogLevel level) noexcept;
  bool is_enabled_for(LogLevel level) const noexcept {
    int const least = level_number();
    constexpr auto kUnlessSet = static_cast<int>(LogLevel::warning);
    return static_cast<int>(level) >= (least == 0 ? kUnlessSet : least);
  }

  /// Hands the text to the handlers, where its level is enabled.
  void log(LogLevel level, std::string_view text);
  void debug(std::string_view text) { log(LogLevel::debug, text); }
  void info(std::string_view text) { log(LogLevel::info, text); }
  void warning(std::string_view text) { log(LogLevel::warning, text); }
  void error(std::string_view text) { log(LogLevel::error, text); }
  void critical(std::string_view text) { log(LogLevel::critical, text); }

  /// Hands a record to the handlers, whatever its level: one that another process has logged, say.
  void handle(LogRecord const& record);

  /// Children that are forked afterwards have a copy. A second time it does nothing.
  /// Throws: std::invalid_argument when it is null, std::bad_alloc.
  void add_handler(std::shared_ptr<LogHandler> handler);
  /// In this process. Other threads may be inside for a moment. Does nothing when it is not there.
  void remove_handler(std::shared_ptr<LogHandler> const& handler);

 private:
  constexpr Logger() = default;

  // relaxed: a level says nothing about other memory
  int level_number() const noexcept { return level_.load(std::memory_order_relaxed); }

  [[gnu::cold]] void emit(LogLevel level, std::string_view text);

  std::atomic<int> level_{0};
};

namespace launch {

namespace log_detail {
template <class Part>
std::string text_of(Part const& part) {
  if constexpr (std::is_arithmetic_v<Part>) {
    return std::to_string(part);
  } else if constexpr (std::is_convertible_v<Part const&, std::string_view>) {
    return std::string(part);
  } else {
    return part.to_string();
  }
}

template <class... Parts>
[[gnu::noinline, gnu::cold]] void put_together(Logger& logger, LogLevel level,
                                               Parts const&... parts) noexcept {
  try {
    std::string text;
    (text.append(text_of(parts)), ...);
    logger.log(level, text);
  } catch (...) {  // no memory, or a handler's
  }
}
}  // namespace log_detail

/// For the library: what the parts put together say. They are put together only when the level is
/// enabled. REQUIRES: the caller has locked nothing, because handlers may use the whole library.
template <class... Parts>
void log(LogLevel level, Parts const&... parts) noexcept {
  auto& logger = Logger::of_this_process();
  if (logger.is_enabled_for(level)) log_detail::put_together(logger, level, parts...);
}

/// Twice is as once. Throws: std::bad_alloc, std::system_error.
void log_to_stderr();

}  // namespace launch
}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/log.ipp>
#endif
