// SPDX-License-Identifier: BSL-1.0
// What a pool's processes share: the jobs, and who does what of them.
//
// There are jobs, of which this tells, and tasks: see work/task_board.hpp.
//
// A job is what of a call of map goes out at once: items, cut into chunks. Every chunk has one
// word; all that happens to the chunk is a change of that word:
//
//            claim by worker 3             settle
//   Free ------------------> Claimed(3) ------------> Done | Failed
//     |                          |
//     | terminate                | worker 3 died (nursery), or terminate
//     `--------> Dropped         `-----------------> Lost | Dropped
//
// The word also holds the job's generation. A worker that was about to claim for a job that is over
// finds another generation in the word and gets nothing, so the owner may reuse everything at once:
// a claimed chunk is what keeps a job alive, nothing else.
//
// Data flow (a snapshot: job of generation 7, chunk 2 being claimed)
//
//   |---- owner, any thread ----|------- shared segment -------|------- workers #0..n-1 -------|
//
//   Job --- writes items ------> JobSlot generation 7
//       --- publish() ---------> active bit, idle.wake_all() --> claim(): cursor 2, words[2]
//                                words  Done Claimed(0) Free         Free -> Claimed(1), cursor 3
//       <-- settled.await ------ words[0] Done <---------------- settle(): notifies once nothing
//                                                                is left to claim
//   Failure   A worker dies: the nursery turns its Claimed words to Lost, notifies every job, and
//             forks another. The nursery dies: the kernel kills the workers, and nursery_life ends
//             every wait of the owner.
//   Shutdown  closing: begins when no call keeps the pool open any more; workers leave when nothing
//             is left to claim. terminating: the nursery kills the workers, then drops every word
//             that is not settled.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/event_count.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/death_log.hpp>
#include <multiprocessing/work/idle_workers.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/restart_limit.hpp>
#include <multiprocessing/work/result_log.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/trace_log.hpp>
#include <multiprocessing/work/worker_account.hpp>
#include <multiprocessing/work/worker_setup.hpp>

namespace multiprocessing::work {

/// Written by the owner before the job is published, constant after that, except for `log`.
struct JobRecord {
  wire::CodePlace run_chunk;  ///< a RunChunk*
  shm::Range callable;
  std::uint64_t items = 0;
  std::uint64_t chunk_size = 0;
  shm::Offset input = 0;          ///< items as bytes, or encoded one after the other
  shm::Offset input_table = 0;    ///< encoded: where each chunk begins in input, and the end
  shm::Offset results = 0;        ///< results as bytes, at their index
  shm::Offset chunk_results = 0;  ///< a ChunkResult per chunk
  ResultLog log;
};

/// A job as the others see it. All that is read without a claim, and so may change while it is
/// read, is atomic; `generation` is 0 while the rest is in change.
struct alignas(base::kCacheLine) JobSlot {
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> chunk_count{0};
  std::atomic<std::uint64_t> sequence{0};  ///< jobs are served in this order
  std::atomic<shm::Offset> words{0};       ///< an AtomicChunkWord per chunk
  std::atomic<shm::Offset> record{0};      ///< a JobRecord

  /// generation << 32 | first chunk that may still be free. Moved on by anybody.
  alignas(base::kCacheLine) std::atomic<std::uint64_t> cursor{0};

  /// Notified when the last chunks settle.
  alignas(base::kCacheLine) sync::EventCount settled;
};

/// A consistent reading of a slot. Stays good to read as long as a chunk of it is claimed.
struct JobView {
  JobSlot* slot = nullptr;
  std::uint32_t generation = 0;
  std::uint32_t chunk_count = 0;
  std::uint64_t sequence = 0;
  AtomicChunkWord* words = nullptr;
  JobRecord* record = nullptr;

  std::uint32_t next_chunk(std::uint64_t cursor) const noexcept {
    bool const mine = static_cast<std::uint32_t>(cursor >> 32) == generation;
    return mine ? static_cast<std::uint32_t>(cursor) : chunk_count;
  }
  bool all_claimed() const noexcept { return next_chunk(slot->cursor.load()) >= chunk_count; }
};

struct Claim {
  JobView job;
  std::uint32_t chunk;
};

/// The first thing in a pool's segment. Threads and processes: all members safe.
class Board {
 public:
  enum class Phase : std::uint32_t { Open, Closing, Terminating };

  static constexpr std::size_t kSlots = 64;  // bits in `active`; further jobs wait
  static constexpr std::size_t kMaxWorkers = IdleWorkers::kMost;

  static constexpr shm::Offset kPlace = shm::Segment::kHeaderSize;  // in the segment

  // constant
  SigintPolicy sigint = SigintPolicy::ignore;  // of the workers
  std::uint64_t max_tasks_per_child = UINT64_MAX;
  std::uint64_t max_memory_per_task = UINT64_MAX;
  std::uint32_t quarantine_after =
      UINT32_MAX;          ///< so many deaths of workers, and it is not retried
  shm::Range initializer;  // for workers that are no copies of the owner; empty: none
  WorkerSetup setup;
  RestartLimit restart_limit;

  // written by the owner
  std::atomic<std::uint32_t> wanted_workers{kMaxWorkers};  ///< those of a higher number leave
  std::atomic<Phase> phase{Phase::Open};
  std::atomic<bool> is_killing{false};   ///< terminating: workers are not asked first
  std::atomic<std::uint64_t> active{0};  ///< a bit per slot that holds a job
  std::atomic<shm::Offset> trace{0};     ///< a TraceLog, if there is one

  // Together: what is looked at for every task is in one page.
  TaskBoard tasks;
  IdleWorkers idle;  ///< told when there is something to claim, or the phase changes

  JobSlot slots[kSlots];

  // written by the nursery
  shm::LifeLock nursery_life;
  std::atomic<std::int32_t> start_error{0};  ///< errno, when no worker can be started; or:
  static constexpr std::int32_t kToldInFailure = -1;
  std::atomic<std::int32_t> worker_pids[kMaxWorkers] = {};
  DeathLog deaths;

  // written by workers, and the nursery
  Failure failure;  ///< why the pool is broken
  struct alignas(base::kCacheLine) Page {
    std::atomic<std::uint64_t> task{0};     ///< a TaskId: claimed, or about to be
    std::atomic<bool> is_ready{false};      ///< its initializer has returned
    std::atomic<std::int64_t> deadline{0};  ///< of its task, as Deadline's clock counts; 0: none
    /// A task that the nursery is to have run once more; the worker waits until it is 0 again.
    std::atomic<std::uint64_t> handed_back{0};
    sync::EventCount taken_back;
    WorkerAccount account;
  };
  Page pages[kMaxWorkers] = {};
  std::atomic<std::int64_t> next_deadline{INT64_MAX};  ///< when the nursery looks next

  /// As EventCount::await(), for something that workers are to do. One that is stopped may have
  /// been woken for it, or be the searcher; so after kPatience all others are to look.
  template <class Ready>
  sync::Waited await(sync::EventCount& event, Ready const& ready, base::Deadline deadline,
                     sync::AdaptiveSpin& spin, shm::LifeLock* peer,
                     int processor = sync::AdaptiveSpin::kAnywhere) {
    auto const first = earlier(deadline, base::Deadline::after(kPatience));
    auto const outcome = event.await(ready, first, spin, peer, processor);
    if (outcome != sync::Waited::TimedOut) return outcome;
    lose_patience(deadline);
    return event.await(ready, deadline, spin, peer, processor);
  }
  /// For who waits until `deadline` otherwise, when kPatience or that has passed.
  void lose_patience(base::Deadline deadline) noexcept {
    tasks.searcher.forget();
    if (deadline.passed()) {
      idle.wake_all();  // who asks again and again
    } else {
      idle.wake_everybody();
    }
  }
  static constexpr std::chrono::milliseconds kPatience{10};

  /// Notes that something begins, if somebody wants to know; else null.
  TraceEvent* begin_event(shm::Segment const& segment, WorkerNumber worker,
                          std::int32_t pid) const noexcept {
    auto const place = trace.load(std::memory_order_acquire);  // pairs with Crew::trace()
    return place == 0 ? nullptr : segment.at<TraceLog>(place)->take(worker, pid);
  }

  /// Claims the next chunk of the oldest job for `worker`.
  std::optional<Claim> claim(shm::Segment const& segment, WorkerNumber worker) noexcept {
    for (;;) {
      JobView job;
      std::uint64_t cursor = 0;
      for_each_job(segment, [&](JobView const& candidate) {
        std::uint64_t const its_cursor = candidate.slot->cursor.load();
        if (candidate.next_chunk(its_cursor) >= candidate.chunk_count) return;
        if (job.slot != nullptr && job.sequence < candidate.sequence) return;
        job = candidate;
        cursor = its_cursor;
      });
      if (job.slot == nullptr) return std::nullopt;
      std::uint32_t const chunk = job.next_chunk(cursor);
      std::uint64_t expected = ChunkWord{job.generation, 0, ChunkWord::Phase::Free}.pack();
      bool const mine = job.words[chunk].compare_exchange_strong(
          expected, ChunkWord{job.generation, worker, ChunkWord::Phase::Claimed}.pack());
      // Whoever finds the chunk claimed moves on: its claimer may be dead.
      job.slot->cursor.compare_exchange_strong(cursor, cursor + 1);
      if (mine) return Claim{job, chunk};
    }
  }

  /// Whether a worker would find something to claim.
  bool has_work(shm::Segment const& segment) noexcept {
    return tasks.has_work() || has_chunks(segment);
  }
  bool has_chunks(shm::Segment const& segment) noexcept {
    bool found = false;
    for_each_job(segment, [&](JobView const& job) { found = found || !job.all_claimed(); });
    return found;
  }

  /// REQUIRES: the caller has claimed the chunk, and written its ChunkResult where it needs one.
  static void settle(Claim const& claim, WorkerNumber worker, ChunkWord::Phase phase) noexcept {
    std::uint64_t claimed =
        ChunkWord{claim.job.generation, worker, ChunkWord::Phase::Claimed}.pack();
    claim.job.words[claim.chunk].compare_exchange_strong(
        claimed, ChunkWord{claim.job.generation, worker, phase}.pack());
    // As long as there are free chunks, somebody will settle one later. seq_cst throughout, so
    // whoever settles last sees that nothing is left.
    if (claim.job.all_claimed()) claim.job.slot->settled.notify_all();
  }

  /// Calls `visit(JobView const&)` for every published job.
  template <class Visit>
  void for_each_job(shm::Segment const& segment, Visit const& visit) noexcept {
    for (auto bits = active.load(); bits != 0; bits &= bits - 1) {
      auto const job = view(segment, slots[std::countr_zero(bits)]);
      if (job.generation != 0) visit(job);
    }
  }

 private:
  /// generation 0 when the slot changes just now.
  static JobView view(shm::Segment const& segment, JobSlot& slot) noexcept {
    JobView job;
    job.slot = &slot;
    // A sequence lock: the acquires keep the second look at the generation behind the reads, and
    // pair with the owner's release stores, which come after its store of 0.
    auto const generation = slot.generation.load(std::memory_order_acquire);
    job.chunk_count = slot.chunk_count.load(std::memory_order_acquire);
    job.sequence = slot.sequence.load(std::memory_order_acquire);
    job.words = segment.at<AtomicChunkWord>(slot.words.load(std::memory_order_acquire));
    job.record = segment.at<JobRecord>(slot.record.load(std::memory_order_acquire));
    if (slot.generation.load(std::memory_order_relaxed) == generation) job.generation = generation;
    return job;
  }
};

}  // namespace multiprocessing::work
