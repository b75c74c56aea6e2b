// SPDX-License-Identifier: BSL-1.0
// Tasks that are to be run once more: at once, or when their backoff has passed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/postponed_tasks.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/task_board.hpp>

namespace multiprocessing::work {

/// Fills the board's second ring, which nobody else may. Threads: one.
class RetriedTasks {
 public:
  RetriedTasks(shm::Segment const& segment, Board& board) : segment_(segment), board_(board) {}

  /// What a task's terms say of its failure: that it is run once more. False: that it is over.
  /// REQUIRES: as retry(). Throws: std::bad_alloc.
  bool retry_after(RetryOn what, TaskId id, ChunkWord word) {
    auto& its = task(id);
    if (!its.may_be_retried_after(what)) return false;
    if (what == RetryOn::crash) {
      auto& deaths = board_.tasks.annex(segment_, its).deaths;
      if (deaths + 1U >= board_.quarantine_after) return false;
      ++deaths;
    }
    retry(id, word);  // unless its owner has given it up just now: then that is its end
    return true;
  }

  /// After a failure. False: the owner has given it up just now. REQUIRES: nobody runs it, its word
  /// was `word`, and it has an annex, as tasks with retries have. Throws: std::bad_alloc.
  bool retry(TaskId id, ChunkWord word) {
    auto& its = task(id);
    auto const failures = its.failures++;
    auto const& annex = board_.tasks.annex(segment_, its);
    auto const wait = backoff(std::chrono::milliseconds(annex.backoff_ms), failures);
    if (wait == wait.zero()) return put_back(id, word);
    if (!set_free(id, word)) return false;
    postponed_.add(id, base::Deadline::after(wait));
    return true;
  }
  /// One that nobody has begun. False: as retry().
  bool put_back(TaskId id, ChunkWord word) {
    if (!set_free(id, word)) return false;
    publish(id);
    return true;
  }

  base::Deadline next() const { return postponed_.next(); }
  void publish_due() {
    while (auto const id = postponed_.take_due()) publish(*id);
  }
  /// Whether a task still waits for its time; those that were given up are forgotten.
  bool has_postponed() {
    postponed_.forget_unless([this](TaskId id) {
      return task(id).word.load() == ChunkWord{id.generation, 0, ChunkWord::Phase::Free}.pack();
    });
    return !postponed_.empty();
  }

 private:
  TaskEntry& task(TaskId id) const noexcept { return board_.tasks.entry(segment_, id.index); }

  bool set_free(TaskId id, ChunkWord word) noexcept {
    auto expected = word.pack();
    auto const free = ChunkWord{id.generation, 0, ChunkWord::Phase::Free}.pack();
    return task(id).word.compare_exchange_strong(expected, free);
  }

  void publish(TaskId id) {
    auto& ring = board_.tasks.retried;
    auto const tail = ring.tail.load();
    auto const capacity = board_.tasks.capacity;
    if (tail - ring.cursor.load() == capacity) board_.tasks.skip_settled(segment_, ring);
    if (tail == slots_ready_ && tail < capacity) {
      constexpr std::uint64_t kAtATime = 4096 / sizeof(std::uint64_t);
      auto const count = std::min<std::uint64_t>(kAtATime, capacity - tail);
      segment_.commit({ring.slots + tail * sizeof(std::uint64_t), count * sizeof(std::uint64_t)});
      slots_ready_ = tail + count;
    }
    board_.tasks.publish(segment_, ring, id);
    board_.idle.wake_one(board_.tasks.searcher);
  }

  shm::Segment const& segment_;
  Board& board_;
  std::uint64_t slots_ready_ = 0;  // of the ring
  PostponedTasks postponed_;
};

}  // namespace multiprocessing::work
