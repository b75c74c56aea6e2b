// SPDX-License-Identifier: BSL-1.0
// How a task is asked to come to an end by itself.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>

namespace multiprocessing {

namespace work {

/// What a worker runs, for those parts of it that ask whether they should go on. One a process.
/// Threads: the worker's main thread writes, all may read.
class RunningTask {
 public:
  static RunningTask& instance() noexcept {
    static constinit RunningTask running;
    return running;
  }

  /// `flags`: those of `mask` are set when the task is asked to stop.
  void begin(std::atomic<std::uint8_t> const& flags, std::uint8_t mask,
             base::Deadline stop = base::Deadline::never()) noexcept {
    mask_ = mask;
    function_ = UINT32_MAX;
    stop_ = stop.is_never() ? kNever : stop.time().time_since_epoch().count();
    flags_ = &flags;
  }
  void end() noexcept { flags_ = nullptr; }

  /// Notes which function the task calls, where that has a number.
  void calls(std::uint32_t function) noexcept { function_ = function; }
  std::uint32_t function() const noexcept { return function_; }

  bool should_stop() const noexcept { return is_asked() || is_late(); }
  /// ... by somebody.
  bool is_asked() const noexcept {
    auto const* const flags = flags_.load();
    return flags != nullptr && (flags->load() & mask_) != 0;
  }
  /// ... by its time.
  bool is_late() const noexcept {
    auto const stop = stop_.load();
    return flags_.load() != nullptr && stop != kNever &&
           base::Deadline::Clock::now().time_since_epoch().count() >= stop;
  }

 private:
  static constexpr std::int64_t kNever = INT64_MAX;

  std::atomic<std::atomic<std::uint8_t> const*> flags_{nullptr};  // null: none runs
  std::atomic<std::uint8_t> mask_{0};
  std::atomic<std::int64_t> stop_{kNever};
  std::uint32_t function_ = UINT32_MAX;
};

}  // namespace work

/// In a task: whether it should come to an end, because its timeout has passed and its grace runs,
/// or because request_stop() was called. False anywhere else, and in what map() runs; in a process
/// that a task forks it tells of that task. Blocks: no; costs a look at the clock where there is a
/// timeout. Threads: any of the worker. Python: none
inline bool stop_requested() noexcept { return work::RunningTask::instance().should_stop(); }

}  // namespace multiprocessing
