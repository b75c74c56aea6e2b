// SPDX-License-Identifier: BSL-1.0
// Tasks that are run again, but not at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/work/task_board.hpp>

namespace multiprocessing::work {

/// How long to wait after the failure that `failures` others came before: twice as long each time,
/// a minute at most unless the first is longer.
inline std::chrono::milliseconds backoff(std::chrono::milliseconds first, unsigned failures) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::minutes(1);
  constexpr unsigned kMostDoublings = 16;  // a millisecond becomes longer than the longest
  return std::clamp(first * (1 << std::min(failures, kMostDoublings)), first,
                    std::max(first, kLongest));
}

/// Threads: one.
class PostponedTasks {
 public:
  /// Throws: std::bad_alloc.
  void add(TaskId id, base::Deadline due) {
    waiting_.push_back({due.time(), id});
    std::push_heap(waiting_.begin(), waiting_.end(), std::greater());
  }

  bool empty() const noexcept { return waiting_.empty(); }
  base::Deadline next() const {
    return empty() ? base::Deadline::never() : base::Deadline::at(waiting_.front().due);
  }
  std::optional<TaskId> take_due() {
    if (empty() || !next().passed()) return std::nullopt;
    std::pop_heap(waiting_.begin(), waiting_.end(), std::greater());
    auto const id = waiting_.back().id;
    waiting_.pop_back();
    return id;
  }
  /// Keeps those of which `is_wanted(TaskId)`.
  template <class IsWanted>
  void forget_unless(IsWanted const& is_wanted) {
    std::erase_if(waiting_, [&](Waiting const& one) { return !is_wanted(one.id); });
    std::make_heap(waiting_.begin(), waiting_.end(), std::greater());
  }

 private:
  struct Waiting {
    base::Deadline::Clock::time_point due;
    TaskId id;

    friend bool operator>(Waiting const& a, Waiting const& b) noexcept { return a.due > b.due; }
  };
  std::vector<Waiting> waiting_;  // a heap: what is due first is in front
};

}  // namespace multiprocessing::work
