// SPDX-License-Identifier: BSL-1.0
// A pool's worker process.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/memory_limit.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/annex_maker.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/chunk_context.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/stop_request.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::work {

/// Threads: one per worker number.
class Worker {
 public:
  /// Throws: std::system_error.
  Worker(shm::Segment const& segment, Board& board, os::ModuleTable const& modules,
         WorkerNumber number, os::Fd const& nursery_wake)
      : segment_(&segment),
        board_(&board),
        modules_(&modules),
        number_(number),
        nursery_wake_(&nursery_wake),
        codes_(segment, board.tasks.codes, modules),
        entries_known_(board.tasks.entries_ready.load()) {
    RunningTask::instance().end();  // a pool in a worker: its owner's
  }

  /// Blocks: until the pool closes, or wants fewer workers, or it has done what one worker may.
  /// Returns the exit code.
  int run() {
    while (done_ < board_->max_tasks_per_child && is_wanted()) {
      // Before the claim: nothing comes after the end of Open, so "nothing to claim" is final then.
      bool const closing = board_->phase.load() != Board::Phase::Open;
      // By turns, so that neither jobs nor tasks wait for all of the others.
      bool const had_job = run_chunk();
      bool const had_task = done_ < board_->max_tasks_per_child && is_wanted() && run_task();
      if (had_job || had_task) continue;
      if (closing) return 0;
      board_->idle.await(
          board_->tasks.searcher, number_,
          [&] {
            return board_->phase.load() != Board::Phase::Open || !is_wanted() ||
                   board_->has_work(*segment_);
          },
          spin_, board_->tasks.owner_processor.load());
      was_idle_ = true;
    }
    pass_on_search();  // it may have been woken for work
    return 0;
  }

  /// Whether there was one.
  bool run_chunk() {
    auto const claim = board_->claim(*segment_, number_);
    if (!claim) return false;
    run_noted(
        [&](TraceEvent& event) {
          event.number = claim->chunk;
          return TraceEvent::Kind::Chunk;
        },
        [&] { run_claimed(*claim); });
    return true;
  }
  bool run_task() {
    populate_new_entries();
    auto const id = board_->tasks.claim(*segment_, number_, board_->pages[number_].task);
    if (!id) return false;
    run_noted(
        [&](TraceEvent& event) {
          auto const& task = board_->tasks.entry(*segment_, id->index);
          event.number = id->index;
          event.code = task.code;
          event.run = task.failures;
          return TraceEvent::Kind::Task;
        },
        [&] { run_claimed(*id); });
    return true;
  }

  /// Runs and settles a chunk. A task that ends the process settles nothing: the nursery will.
  void run_claimed(Claim const& claim) {
    ChunkContext const context{*segment_, *modules_, fork_detector_, *claim.job.record,
                               claim.chunk};
    auto phase = ChunkWord::Phase::Done;
    try {
      auto* const run = wire::function_at<RunChunk>(context.job.run_chunk, *modules_);
      limit_memory([&] { run(context); });
    } catch (launch::ExitRequest const&) {
      throw;
    } catch (...) {
      context.end_if_forked();
      phase = ChunkWord::Phase::Failed;
      context.result() = {};
      record_exception([&](wire::Bytes const& bytes) { context.record(bytes); });
    }
    context.end_if_forked();
    Board::settle(claim, number_, phase);
  }

  void run_claimed(TaskId id) {
    auto& tasks = board_->tasks;
    auto& task = tasks.entry(*segment_, id.index);
    TaskContext const context{*segment_, *modules_, fork_detector_, codes_, annexes_, tasks, task};
    auto phase = ChunkWord::Phase::Done;
    begin_time(task);
    try {
      limit_memory([&] { codes_.function<RunTask>(task.code)(context); });
    } catch (launch::ExitRequest const&) {
      throw;
    } catch (...) {
      context.end_if_forked();
      bool const is_late = RunningTask::instance().is_late();
      if (task.may_be_retried_after(is_late ? RetryOn::timeout : RetryOn::exception)) {
        return hand_back(id, task);
      }
      if (is_late) task.flags |= TaskEntry::kWasLate;
      phase = ChunkWord::Phase::Failed;
      task.result_bytes = 0;
      record_exception([&](wire::Bytes const& bytes) { context.keep(bytes, {}); });
    }
    context.end_if_forked();
    end_time(task);
    context.give_up_input();
    ChunkWord const claimed{id.generation, number_, ChunkWord::Phase::Claimed};
    // Somebody has settled it, and is about to have this process killed.
    if (!tasks.settle(task, claimed, phase)) os::exit_now(0);
  }

 private:
  /// Runs it, and writes that down; `describe` says what it is, for a trace.
  template <class Describe, class Run>
  void run_noted(Describe const& describe, Run const& run) {
    pass_on_search();
    auto& account = board_->pages[number_].account;
    account.begin();
    auto* const event = board_->begin_event(*segment_, number_, pid_);
    RunningTask::instance().note_function_in(event == nullptr ? nullptr : &event->function);
    if (event != nullptr) TraceLog::publish(*event, describe(*event));
    run();
    if (event != nullptr) event->end = os::monotonic_time();
    account.end();
    ++done_;
  }

  bool is_wanted() const noexcept { return number_ < board_->wanted_workers.load(); }

  /// New entries are about to be claimed, one after the other. Of the old ones, who knows.
  void populate_new_entries() noexcept {
    auto const& tasks = board_->tasks;
    auto const ready = tasks.entries_ready.load();
    if (ready == entries_known_) return;
    constexpr auto kSize = sizeof(TaskEntry);
    segment_->populate({tasks.entries + entries_known_ * kSize, (ready - entries_known_) * kSize});
    entries_known_ = ready;
  }

  /// What it has found may take long; somebody else is to look for more.
  void pass_on_search() noexcept {
    if (!std::exchange(was_idle_, false)) return;
    board_->idle.has_found(board_->tasks.searcher, number_,
                           [&] { return board_->has_work(*segment_); });
  }

  /// Has the nursery look at the task's deadline, unless it will in time.
  void begin_time(TaskEntry const& task) {
    auto& running = RunningTask::instance();
    if (task.timeout_ms == 0) return running.begin(task);
    auto const stop = base::Deadline::after(std::chrono::milliseconds(task.timeout_ms));
    running.begin(task, stop);
    auto const grace = task.has_annex() ? board_->tasks.annex(*segment_, task).grace_ms : 0;
    auto const end = stop.time() + std::chrono::milliseconds(grace);
    auto const count = end.time_since_epoch().count();
    board_->pages[number_].deadline = count;
    auto next = board_->next_deadline.load();
    while (count < next) {
      if (!board_->next_deadline.compare_exchange_weak(next, count)) continue;
      os::signal_eventfd(*nursery_wake_);
      return;
    }
  }

  void end_time(TaskEntry const& task) noexcept {
    RunningTask::instance().end();
    if (task.timeout_ms != 0) board_->pages[number_].deadline = 0;
  }

  /// Blocks: until the nursery, which dies with this process, has the task, to be run once more.
  void hand_back(TaskId id, TaskEntry& task) {
    end_time(task);
    give_up_result(*segment_, board_->tasks, task);
    auto& page = board_->pages[number_];
    page.handed_back = id.pack();
    os::signal_eventfd(*nursery_wake_);
    static_cast<void>(page.taken_back.await([&] { return page.handed_back.load() == 0; },
                                            base::Deadline::never(), spin_, nullptr));
  }

  template <class Run>
  void limit_memory(Run const& run) {
    auto const limit = board_->max_memory_per_task;
    if (limit == UINT64_MAX) return run();
    try {
      os::MemoryLimit const limited(limit);
      run();
    } catch (std::bad_alloc const&) {
      throw MemoryLimitExceeded("a task wanted more than " + std::to_string(limit) + " bytes",
                                os::this_pid(), 0);
    }
  }

  /// Hands what is handled now to `keep`.
  template <class Keep>
  static void record_exception(Keep const& keep) noexcept {
    try {
      wire::Bytes bytes;
      auto record = wire::record_current_exception();
      wire::add_origin(record, {launch::identity().name, os::this_pid(), {}});
      wire::encode(bytes, record);
      keep(bytes);
    } catch (...) {  // no memory: the empty result says so
    }
  }

  shm::Segment const* segment_;
  Board* board_;
  os::ModuleTable const* modules_;
  WorkerNumber number_;
  std::int32_t pid_ = os::this_pid();
  os::Fd const* nursery_wake_;
  CodeReader codes_;
  AnnexMaker annexes_;
  std::uint64_t done_ = 0;  // chunks and tasks
  bool was_idle_ = false;   // since the last claim
  std::uint32_t entries_known_ = 0;
  os::ForkDetector fork_detector_;
  sync::AdaptiveSpin spin_;
};

}  // namespace multiprocessing::work
