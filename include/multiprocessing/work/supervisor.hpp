// SPDX-License-Identifier: BSL-1.0
// What a pool's nursery does: keeps the workers alive, and settles what a dead one leaves behind.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/nursery.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/restart_limit.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_context.hpp>
#include <multiprocessing/work/task_warden.hpp>
#include <multiprocessing/work/worker.hpp>

namespace multiprocessing::work {

/// Threads: the nursery's only one.
class Supervisor {
 public:
  Supervisor(launch::Nursery& nursery, shm::Segment const& segment, Board& board,
             os::ModuleTable const& modules, Initializer initializer)
      : nursery_(nursery),
        segment_(segment),
        board_(board),
        modules_(modules),
        initializer_(std::move(initializer)),
        deaths_(board.restart_limit),
        warden_(nursery, segment, board) {}

  /// Blocks: until the pool has ended or its owner is gone. Returns the nursery's exit code.
  int run(os::Fd const& ready) {
    board_.nursery_life.hold();
    make_what_workers_inherit();
    try {
      for (std::size_t number = 0; number < wanted(); ++number) start_worker(number);
    } catch (std::system_error const& error) {
      end_all();
      board_.start_error = error.code().value();
      return 1;
    }
    os::signal_eventfd(ready);
    for (;;) {
      auto const news = nursery_.wait(earlier(next_try_, warden_.next()));
      if (news.owner_ended) return end_all();
      warden_.take_back();
      for (auto const& ended : news.ended) bury(ended);
      warden_.kill_doomed();
      warden_.run_due();
      if (board_.failure.is_told()) {
        board_.start_error = Board::kToldInFailure;
        return end_all();
      }
      auto const phase = board_.phase.load();
      if (phase == Board::Phase::Terminating) return terminate();
      bool const needed = phase == Board::Phase::Open || board_.has_work(segment_);
      if (!needed && nursery_.running() == 0 && !warden_.has_postponed()) return 0;
      if (!needed) next_try_ = base::Deadline::never();
      // Who waited for a task of the dead was woken on this processor, as like as not: it goes
      // first, for a fork takes a while.
      if (!news.ended.empty()) os::yield_processor();
      if (needed && next_try_is_due() && !replace_missing_workers()) return 1;
    }
  }

 private:
  // How long a worker may take to end after SIGTERM before it gets SIGKILL: terminate() promises to
  // end at once, and by default SIGTERM does.
  static constexpr std::chrono::milliseconds kGrace{500};
  // When the system gives no process, trying again sooner would only add to its load.
  static constexpr std::chrono::milliseconds kBetweenTries{50};
  // As many in a row are no accident.
  static constexpr int kMostDeathsInInitializer = 5;
  // So long without a single worker, and the pool says that it is broken rather than to stall.
  static constexpr std::chrono::seconds kGiveUpAfter{10};

  /// Buffers of this thread, which a worker then has by the fork. To make them anew, it would have
  /// to look functions of the C library up, at dozens of page faults.
  static void make_what_workers_inherit() {
    channel::Scratch const scratch;
    sync::AdaptiveSpin::of_this_thread();
  }

  /// Those of higher numbers leave by themselves.
  std::size_t wanted() const noexcept { return board_.wanted_workers.load(); }

  void start_worker(std::size_t number) {
    nursery_.grow(number + 1);
    auto who = launch::new_child_identity();
    who->name = "PoolWorker-" + who->number.substr(who->number.rfind(':') + 1);
    who->daemon = true;
    board_.pages[number].task = 0;
    board_.pages[number].is_ready = false;
    board_.pages[number].deadline = 0;
    board_.pages[number].handed_back = 0;
    board_.pages[number].account.start();
    board_.deaths.expect(segment_, number);
    auto const body = [this, number] {
      board_.deaths.watch(segment_, number);
      if (!initialize()) return 1;
      board_.pages[number].is_ready = true;
      Worker worker(segment_, board_, modules_, static_cast<WorkerNumber>(number),
                    nursery_.wake_fd());
      return worker.run();
    };
    nursery_.start(number, std::move(who), body, board_.sigint);
    board_.worker_pids[number] = nursery_.pid(number);
    trace(number, nursery_.pid(number), TraceEvent::Kind::Start);
  }

  /// In a worker. False: it has failed, and that has been told.
  bool initialize() {
    try {
      board_.setup.apply(static_cast<int>(wanted()));
    } catch (std::system_error const& error) {
      board_.failure.tell(std::string("a worker could not be set up: ") + error.what());
      return false;
    }
    if (!initializer_) return true;
    os::ForkDetector const fork_detector;
    auto const end_if_forked = [&] {
      if (fork_detector.forked()) os::exit_now(0);  // a copy that it has made
    };
    try {
      initializer_();
      end_if_forked();
      return true;
    } catch (launch::ExitRequest const& request) {
      end_if_forked();
      board_.failure.tell("its initializer has exited with code " + std::to_string(request.code));
    } catch (...) {
      end_if_forked();
      auto const text = wire::format(wire::record_current_exception());
      board_.failure.tell("its initializer has thrown " + text.substr(0, text.find('\n')));
    }
    return false;
  }

  /// As many in a row, and who knows how many would follow.
  void count_death_in_initializer(launch::Nursery::Ended const& dead) {
    if (!initializer_) return;
    if (board_.pages[dead.number].is_ready) {
      deaths_in_initializer_ = 0;
    } else if (++deaths_in_initializer_ == kMostDeathsInInitializer) {
      board_.failure.tell(
          "its initializer ends its process again and again; the last one, process " +
          std::to_string(dead.pid) + ", " + dead.status.to_string());
    }
  }

  void count_death() {
    if (!deaths_.add(base::Deadline::Clock::now())) return;
    auto const& limit = board_.restart_limit;
    auto text = "more than " + std::to_string(limit.intensity) + " workers have died within " +
                std::to_string(limit.period_ms) + " ms; the last ones:";
    constexpr std::uint32_t kTold = 5;  // enough to see what they have in common
    for (auto const& line : board_.deaths.last_lines(segment_, kTold)) text += "\n  " + line;
    board_.failure.tell(text);
  }

  /// Gives an answer to everybody who waits for what the dead worker had claimed.
  void bury(launch::Nursery::Ended const& dead) {
    auto const number = static_cast<WorkerNumber>(dead.number);
    board_.worker_pids[dead.number] = 0;
    board_.pages[dead.number].account.end_of_worker();
    trace(dead.number, dead.pid, TraceEvent::Kind::End, &dead.status);
    count_death_in_initializer(dead);
    // Who has nothing to do any more leaves with 0: no death, unless a task has done that.
    std::optional<std::uint32_t> logged_as;
    auto const death = [&] {
      if (!logged_as) logged_as = log_death(dead);
      return *logged_as;
    };
    if (dead.status.exitcode() != 0) death();
    bool const was_ordered = warden_.is_doomed(dead.number);
    warden_.bury(dead, death);
    settle_all([&](JobView const& job, std::uint32_t chunk, ChunkWord word) {
      if (word.phase != ChunkWord::Phase::Claimed || word.worker != number) return word.phase;
      // The dead worker's claim keeps the job; without one, its record may be gone by now.
      auto& result = segment_.at<ChunkResult>(job.record->chunk_results)[chunk];
      result.pid = dead.pid;
      result.end_code = end_code(dead.status);
      result.end_status = end_status(dead.status);
      result.death = death();
      return ChunkWord::Phase::Lost;
    });
    if (logged_as && !was_ordered) count_death();
    board_.pages[dead.number].task = 0;  // nobody reads or writes that one any more
    board_.idle.bury(board_.tasks.searcher, number);
  }

  std::uint32_t log_death(launch::Nursery::Ended const& dead) noexcept {
    auto const& status = dead.status;
    return board_.deaths.add(
        segment_, dead.number,
        {dead.pid, end_code(status), end_status(status), status.usage().peak_memory});
  }

  void trace(std::size_t number, pid_t pid, TraceEvent::Kind kind,
             ExitStatus const* status = nullptr) const noexcept {
    auto* const event = board_.begin_event(segment_, static_cast<WorkerNumber>(number), pid);
    if (event == nullptr) return;
    if (status != nullptr) {
      event->code = static_cast<CodeNumber>(end_code(*status));
      event->number = static_cast<std::uint32_t>(end_status(*status));
    }
    TraceLog::publish(*event, kind);
  }

  int end_all() {
    nursery_.send_to_all(SIGKILL);
    while (nursery_.running() != 0) static_cast<void>(nursery_.wait(base::Deadline::never()));
    return 0;
  }

  int terminate() {
    if (!board_.is_killing) nursery_.send_to_all(SIGTERM);
    auto const grace = board_.is_killing ? base::Deadline::now() : base::Deadline::after(kGrace);
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
    warden_.drop_all();
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
      for (std::size_t number = 0; number < wanted(); ++number) {
        if (number >= nursery_.size() || !nursery_.is_running(number)) start_worker(number);
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

  // constant
  launch::Nursery& nursery_;
  shm::Segment const& segment_;
  Board& board_;
  os::ModuleTable const& modules_;
  Initializer const initializer_;

  int deaths_in_initializer_ = 0;  // in a row
  DeathCount deaths_;
  TaskWarden warden_;
  base::Deadline next_try_ = base::Deadline::never();  // to replace workers; never: at once
  base::Deadline give_up_ = base::Deadline::never();
};

/// What a nursery does that is not forked. `fds`: the segment, and what it tells that it is ready.
inline int supervise(launch::Nursery& nursery, std::vector<os::Fd> fds) {
  // Never unmapped: at the end of the process the kernel looks for the life lock there.
  auto const& segment = *new shm::Segment(shm::Segment::attach(std::move(fds.at(0))));
  auto const modules = os::ModuleTable::now();
  auto& board = *segment.at<Board>(Board::kPlace);
  auto const initializer =
      board.initializer.size == 0
          ? Initializer()
          : Initializer::read({segment.data(board.initializer.offset), board.initializer.size});
  return Supervisor(nursery, segment, board, modules, initializer).run(fds.at(1));
}

}  // namespace multiprocessing::work
