// SPDX-License-Identifier: BSL-1.0
// Logging of many processes: as lines on stderr that never mix, or as records that arrive in one of
// them.
#pragma once

#include <cstddef>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/log.hpp>  // IWYU pragma: export
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/queue.hpp>

namespace multiprocessing {

/// The logger of this process, which the library itself logs to: at LogLevel::debug, how processes
/// start and end. Python: multiprocessing.get_logger
inline Logger& get_logger() noexcept { return Logger::of_this_process(); }

/// From now on records are lines on stderr, "[WARNING/Process-1] text", of this process and those
/// that it starts afterwards. Each is one write; lines of any length never mix with those of other
/// processes of the family, whoever is killed. A text of several lines stays together.
/// Blocks: logging does, as long as stderr takes nothing, or another process is at it.
/// Throws: std::bad_alloc, std::system_error.
/// Python: multiprocessing.log_to_stderr; differs: calling it again does not double lines
inline Logger& log_to_stderr() {
  launch::log_to_stderr();
  return get_logger();
}
/// The same, and sets the level.
inline Logger& log_to_stderr(LogLevel level) {
  log_to_stderr().set_level(level);
  return get_logger();
}

/// Puts records into a queue, for another process to take out: see forward_logs(). Records that
/// came to this process by a queue are passed over.
///
/// Never blocks a process for long: a record is lost when the queue is full or has been shut down,
/// or nobody is left to take it. A queue without a maxsize takes all that memory holds.
/// Python: logging.handlers.QueueHandler
class QueueLogHandler final : public LogHandler {
 public:
  /// It may have a maxsize, so that lost records and not memory are the bound.
  explicit QueueLogHandler(Queue<LogRecord> queue) : queue_(std::move(queue)) {}

  void handle(LogRecord const& record) override {
    if (record.pid == os::this_pid()) static_cast<void>(queue_.try_put(record));
  }

 private:
  Queue<LogRecord> const queue_;
};

namespace logging_detail {
/// Shows what is in the queue now to `take`. How many these were.
template <class Take>
std::size_t take_all(Queue<LogRecord> const& queue, Take const& take) {
  std::size_t taken = 0;
  // No more than there are: others may log as fast as this takes.
  for (auto most = queue.qsize(); taken < most; ++taken) {
    try {
      auto const record = queue.try_get();
      if (!record) break;
      take(*record);
    } catch (EOFError const&) {  // another one was faster
      break;
    } catch (ShutDown const&) {
      break;
    }
  }
  return taken;
}
}  // namespace logging_detail

/// Hands the records that are in the queue now to `handler`, which need not be the logger's: so
/// that no child has a copy of it, and each record is handled once, here. How many these were.
/// Blocks: only as the handler does. To wait for records:
/// `for (auto const& record : queue) handler.handle(record);`
/// Throws: what the handler throws. Python: logging.handlers.QueueListener
inline std::size_t forward_logs(Queue<LogRecord> const& queue, LogHandler& handler) {
  return logging_detail::take_all(queue, [&](auto const& record) { handler.handle(record); });
}

/// The same with all handlers of this process, for records of others: its own have been handled,
/// as those of others have by log_to_stderr(). Children that inherited a handler have called it,
/// too. Throws: as logging does.
inline std::size_t forward_logs(Queue<LogRecord> const& queue) {
  return logging_detail::take_all(queue, [](auto const& record) {
    if (record.pid != os::this_pid()) get_logger().handle(record);
  });
}

}  // namespace multiprocessing
