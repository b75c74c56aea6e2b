// SPDX-License-Identifier: BSL-1.0
// How a task is asked to come to an end by itself.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/work/task_board.hpp>

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

  /// For every task, so these are plain stores.
  void begin(TaskEntry const& task, base::Deadline stop = base::Deadline::never()) noexcept {
    // relaxed: published by the next line
    stop_.store(stop.is_never() ? kNever : stop.time().time_since_epoch().count(),
                std::memory_order_relaxed);
    task_.store(&task, std::memory_order_release);  // pairs with the loads of who asks
  }
  void end() noexcept { task_.store(nullptr, std::memory_order_release); }

  /// Where the number of the function that a task calls is noted, before it is called; null:
  /// nowhere.
  void note_function_in(std::atomic<std::uint32_t>* place) noexcept { function_ = place; }
  void calls(std::uint32_t function) noexcept {
    if (function_ != nullptr) function_->store(function);
  }

  bool should_stop() const noexcept { return is_asked() || is_late(); }
  /// ... by somebody.
  bool is_asked() const noexcept {
    auto const* const task = task_.load();
    return task != nullptr && task->is_to_stop();
  }
  /// ... by its time.
  bool is_late() const noexcept {
    if (task_.load() == nullptr) return false;
    auto const stop = stop_.load();
    return stop != kNever && base::Deadline::Clock::now().time_since_epoch().count() >= stop;
  }

 private:
  static constexpr std::int64_t kNever = INT64_MAX;

  std::atomic<TaskEntry const*> task_{nullptr};  // null: none runs
  std::atomic<std::int64_t> stop_{kNever};
  std::atomic<std::uint32_t>* function_ = nullptr;  // of the worker's main thread
};

}  // namespace work

/// In a task: whether it should come to an end, because its timeout has passed and its grace runs,
/// or because request_stop() was called. False anywhere else, and in what map() runs; in a process
/// that a task forks it tells of that task. Blocks: no; costs a look at the clock where there is a
/// timeout. Threads: any of the worker. Python: none
inline bool stop_requested() noexcept { return work::RunningTask::instance().should_stop(); }

}  // namespace multiprocessing
