// SPDX-License-Identifier: BSL-1.0
// What a pool's nursery does about tasks: ends those that are late or given up, settles what a dead
// worker leaves behind, and has run once more what may be.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/nursery.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/retried_tasks.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_context.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

/// Threads: the nursery's only one.
class TaskWarden {
 public:
  TaskWarden(launch::Nursery& nursery, shm::Segment const& segment, Board& board)
      : nursery_(nursery), segment_(segment), board_(board), retried_(segment, board) {}

  /// When there is something to do, whatever else happens.
  base::Deadline next() const { return earlier(next_deadline(), retried_.next()); }

  /// What workers could not do, but may be tried again. Before the burials of one round: who has
  /// handed a task back and is killed then has not been killed by it.
  void take_back() {
    for (std::size_t number = 0; number < nursery_.size(); ++number) {
      auto& page = board_.pages[number];
      auto const id = TaskId::unpack(page.handed_back.load());
      if (id.generation == 0) continue;
      auto const word = task(id).read();
      // Given up meanwhile: the worker waits here until it is killed, so that nothing else is hit.
      if (word.generation != id.generation || !word.is_held_by(number) || !retried_.retry(id, word))
        continue;
      page.handed_back = 0;
      page.taken_back.notify_all();
    }
  }

  /// Gives an answer to who waits for what the dead worker had claimed, or was about to: its page
  /// names that. `number_of_death`: called where it is asked for.
  template <class NumberOfDeath>
  void bury(launch::Nursery::Ended const& dead, NumberOfDeath const& number_of_death) {
    auto const id = TaskId::unpack(board_.pages[dead.number].task.load());
    if (id.generation == 0) return;
    auto& its = task(id);
    auto const word = its.read();
    if (word.generation != id.generation) return;
    if (!word.is_held_by(dead.number)) {
      board_.tasks.tell(its);  // it may have been killed before it did that
      return;
    }
    give_up_result(segment_, board_.tasks, its);
    if (word.phase == ChunkWord::Phase::Condemned) {
      if (its.may_be_retried() && retried_.retry(id, word)) return;
      its.late_pid = dead.pid;  // somebody has asked it to stop meanwhile, or runs it elsewhere
      board_.tasks.settle(its, word, ChunkWord::Phase::Late);
      return;
    }
    auto const death = number_of_death();
    if (retried_.retry_after(RetryOn::crash, id, word)) return;
    TaskDeath const how{dead.pid, end_code(dead.status), end_status(dead.status), death};
    std::memcpy(its.room, &how, sizeof how);
    board_.tasks.settle(its, word, ChunkWord::Phase::Lost);
  }

  /// Whether the worker's task was taken away: it is to end, whatever the task does.
  bool is_doomed(std::size_t number) const noexcept {
    auto const id = TaskId::unpack(board_.pages[number].task.load());
    if (id.generation == 0) return false;
    auto const word = task(id).read();
    return word.generation == id.generation && word.worker == number && word.was_taken_away();
  }
  /// Kills who runs a task that is late, or that the owner has given up. Such a worker claims
  /// nothing more, so nothing else is hit.
  void kill_doomed() {
    if (board_.next_deadline.load() != INT64_MAX) settle_late();
    for (std::size_t number = 0; number < nursery_.size(); ++number) {
      if (is_doomed(number)) nursery_.send(number, SIGKILL);
    }
  }

  void run_due() { retried_.publish_due(); }
  bool has_postponed() { return retried_.has_postponed(); }

  /// Gives up all. REQUIRES: no worker runs.
  void drop_all() {
    auto& tasks = board_.tasks;
    tasks.drop_free(segment_);
    for (std::size_t number = 0; number < nursery_.size(); ++number) {
      auto const id = TaskId::unpack(board_.pages[number].task.load());
      if (id.generation == 0) continue;
      auto& its = task(id);
      auto const word = its.read();
      if (word.generation != id.generation) continue;
      if (word.is_held_by(number)) tasks.settle(its, word, ChunkWord::Phase::Dropped);
      tasks.tell(its);  // it may have been killed before it did that
    }
  }

 private:
  TaskEntry& task(TaskId id) const noexcept { return board_.tasks.entry(segment_, id.index); }

  base::Deadline next_deadline() const {
    auto const next = board_.next_deadline.load();
    if (next == INT64_MAX) return base::Deadline::never();
    using Clock = base::Deadline::Clock;
    return base::Deadline::at(Clock::time_point(Clock::duration(next)));
  }

  void settle_late() {
    board_.next_deadline = INT64_MAX;  // first: who begins a task from here on wakes us
    auto const now = base::Deadline::Clock::now().time_since_epoch().count();
    for (std::size_t number = 0; number < nursery_.size(); ++number) {
      auto& page = board_.pages[number];
      auto const id = TaskId::unpack(page.task.load());
      auto const deadline = page.deadline.load();
      if (deadline == 0 || !nursery_.is_running(number)) continue;
      if (deadline > now) {
        auto next = board_.next_deadline.load();
        while (deadline < next && !board_.next_deadline.compare_exchange_weak(next, deadline)) {
        }
        continue;
      }
      // Read before its deadline, its task has that or none; and only as Claimed it is settled.
      auto& its = task(id);
      ChunkWord const claimed{id.generation, static_cast<WorkerNumber>(number),
                              ChunkWord::Phase::Claimed};
      if (its.word.load() != claimed.pack()) continue;
      if (its.may_be_retried_after(RetryOn::timeout) || its.ends_first()) {
        auto expected = claimed.pack();
        ChunkWord const condemned{claimed.generation, claimed.worker, ChunkWord::Phase::Condemned};
        if (!its.word.compare_exchange_strong(expected, condemned.pack())) continue;
      } else {
        its.late_pid = nursery_.pid(number);
        if (!board_.tasks.settle(its, claimed, ChunkWord::Phase::Late)) continue;
      }
    }
  }

  launch::Nursery& nursery_;
  shm::Segment const& segment_;
  Board& board_;
  RetriedTasks retried_;
};

}  // namespace multiprocessing::work
