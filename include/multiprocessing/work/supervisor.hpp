// SPDX-License-Identifier: BSL-1.0
// What a pool's nursery does: keeps the workers alive, and settles what a dead one leaves behind.
#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/nursery.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/worker.hpp>

namespace multiprocessing::work {

/// Threads: the nursery's only one.
class Supervisor {
 public:
  Supervisor(launch::Nursery& nursery, shm::Segment const& segment, Board& board,
             os::ModuleTable const& modules)
      : nursery_(nursery), segment_(segment), board_(board), modules_(modules) {}

  /// Blocks: until the pool has ended or its owner is gone. Returns the nursery's exit code.
  int run(os::Fd const& ready) {
    board_.nursery_life.hold();
    try {
      for (std::size_t number = 0; number < nursery_.size(); ++number) start_worker(number);
    } catch (std::system_error const& error) {
      end_all();
      board_.start_error = error.code().value();
      return 1;
    }
    os::signal_eventfd(ready);
    for (;;) {
      auto const news = nursery_.wait(next_try_);
      if (news.owner_ended) return end_all();
      for (auto const& ended : news.ended) bury(ended);
      auto const phase = board_.phase.load();
      if (phase == Board::Phase::Terminating) return terminate();
      bool const needed = phase == Board::Phase::Open || board_.has_work(segment_);
      if (!needed && nursery_.running() == 0) return 0;
      if (!needed) next_try_ = base::Deadline::never();
      if (needed && next_try_is_due() && !replace_missing_workers()) return 1;
    }
  }

 private:
  // How long a worker may take to end after SIGTERM before it gets SIGKILL: terminate() promises to
  // end at once, and by default SIGTERM does.
  static constexpr std::chrono::milliseconds kGrace{500};
  // When the system gives no process, trying again sooner would only add to its load.
  static constexpr std::chrono::milliseconds kBetweenTries{50};
  // So long without a single worker, and the pool says that it is broken rather than to stall.
  static constexpr std::chrono::seconds kGiveUpAfter{10};

  void start_worker(std::size_t number) {
    auto who = launch::new_child_identity();
    who->name = "PoolWorker-" + who->number.substr(who->number.rfind(':') + 1);
    who->daemon = true;
    auto const body = [this, number] {
      return Worker(segment_, board_, modules_, static_cast<WorkerNumber>(number)).run();
    };
    nursery_.start(number, std::move(who), body, board_.sigint);
    board_.worker_pids[number] = nursery_.pid(number);
  }

  /// Gives an answer to everybody who waits for what the dead worker had claimed.
  void bury(launch::Nursery::Ended const& dead) {
    auto const number = static_cast<WorkerNumber>(dead.number);
    board_.worker_pids[dead.number] = 0;
    settle_all([&](JobView const& job, std::uint32_t chunk, ChunkWord word) {
      if (word.phase != ChunkWord::Phase::Claimed || word.worker != number) return word.phase;
      // The dead worker's claim keeps the job; without one, its record may be gone by now.
      auto& result = segment_.at<ChunkResult>(job.record->chunk_results)[chunk];
      result.pid = dead.pid;
      result.end_code = dead.status.unknown()    ? 0
                        : dead.status.signaled() ? CLD_KILLED
                                                 : CLD_EXITED;
      result.end_status = dead.status.signaled() ? dead.status.signal() : dead.status.exitcode();
      return ChunkWord::Phase::Lost;
    });
  }

  int end_all() {
    nursery_.send_to_all(SIGKILL);
    while (nursery_.running() != 0) static_cast<void>(nursery_.wait(base::Deadline::never()));
    return 0;
  }

  int terminate() {
    nursery_.send_to_all(SIGTERM);
    auto const grace = base::Deadline::after(kGrace);
    while (nursery_.running() != 0 && !grace.passed()) {
      if (nursery_.wait(grace).owner_ended) break;
    }
    end_all();
    drop_unsettled();
    return 0;
  }

  /// REQUIRES: no worker runs.
  void drop_unsettled() {
    settle_all([](JobView const&, std::uint32_t, ChunkWord word) {
      return word.settled() ? word.phase : ChunkWord::Phase::Dropped;
    });
  }

  /// Sets every unsettled chunk of every job to what `decide` returns, then wakes all who wait.
  /// A worker that was killed between settling and notifying is made up for here, too.
  template <class Decide>
  void settle_all(Decide const& decide) {
    board_.for_each_job(segment_, [&](JobView const& job) {
      for (std::uint32_t chunk = 0; chunk < job.chunk_count; ++chunk) {
        auto const word = ChunkWord::unpack(job.words[chunk].load());
        if (word.generation != job.generation) return;  // the job is over
        if (word.settled()) continue;
        auto const phase = decide(job, chunk, word);
        if (phase != word.phase) {
          job.words[chunk].store(ChunkWord{job.generation, word.worker, phase}.pack());
        }
      }
      job.slot->settled.notify_all();
    });
  }

  bool next_try_is_due() const { return next_try_.is_never() || next_try_.passed(); }

  /// False when the pool is beyond help.
  bool replace_missing_workers() {
    try {
      for (std::size_t number = 0; number < nursery_.size(); ++number) {
        if (!nursery_.is_running(number)) start_worker(number);
      }
    } catch (std::system_error const& error) {
      bool const first = next_try_.is_never();
      next_try_ = base::Deadline::after(kBetweenTries);
      if (first || nursery_.running() != 0) give_up_ = base::Deadline::after(kGiveUpAfter);
      if (!give_up_.passed()) return true;
      board_.start_error = error.code().value();
      return false;
    }
    next_try_ = base::Deadline::never();
    return true;
  }

  launch::Nursery& nursery_;
  shm::Segment const& segment_;
  Board& board_;
  os::ModuleTable const& modules_;
  base::Deadline next_try_ = base::Deadline::never();  // to replace workers; never: at once
  base::Deadline give_up_ = base::Deadline::never();
};

/// What a nursery does that is not forked. `fds`: the segment, and what it tells that it is ready.
inline int supervise(launch::Nursery& nursery, std::vector<os::Fd> fds) {
  auto const segment = shm::Segment::attach(std::move(fds.at(0)));
  auto const modules = os::ModuleTable::now();
  return Supervisor(nursery, segment, *segment.at<Board>(Board::kPlace), modules).run(fds.at(1));
}

}  // namespace multiprocessing::work
