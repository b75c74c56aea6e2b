// SPDX-License-Identifier: BSL-1.0
// Tasks that are run again, but not at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <queue>
#include <utility>
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
class Retries {
 public:
  /// Throws: std::bad_alloc.
  void add(TaskId id, base::Deadline due) { waiting_.push({due.time(), id}); }

  bool empty() const noexcept { return waiting_.empty(); }
  base::Deadline next() const {
    return empty() ? base::Deadline::never() : base::Deadline::at(waiting_.top().due);
  }
  std::optional<TaskId> take_due() {
    if (empty() || !next().passed()) return std::nullopt;
    auto const id = waiting_.top().id;
    waiting_.pop();
    return id;
  }

 private:
  struct Waiting {
    base::Deadline::Clock::time_point due;
    TaskId id;

    friend bool operator>(Waiting const& a, Waiting const& b) noexcept { return a.due > b.due; }
  };
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
};

}  // namespace multiprocessing::work
