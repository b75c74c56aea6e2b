// SPDX-License-Identifier: BSL-1.0
// What the first rank knows of an executor: what each of its ranks has to do, and which of its
// tasks they have. A rank runs a task once, whatever comes of it; here is decided whether that is
// its end.
//
//   board --> claim() --> flights --> a rank runs it --> come_home() --> settled: its result
//     ^                                                      |
//     +---- retried: at once, or when its backoff has passed -+
//
// So what waits for its next try takes up no room on a rank, and whichever rank has room runs it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/mpi/flights.hpp>
#include <multiprocessing/mpi/load.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/annex_maker.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/retried_tasks.hpp>
#include <multiprocessing/work/task_context.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::mpi {

/// Threads: one.
class Session {
 public:
  using Clock = base::Deadline::Clock;
  using Kind = RecordHead::Kind;
  using Phase = work::ChunkWord::Phase;
  enum class State { open, closing, broken, ended };

  struct Rank {
    explicit Rank(std::uint32_t workers) : load(workers) {}
    Load load;
    work::CodeNumber codes = 0;  // that it knows
    bool has_ended = false;
    bool is_asked_back = false;
    Clock::time_point given{};  // when it was given something, or asked back, last
  };

  Session(std::uint32_t its_number, work::Crew& its_crew) : number(its_number), crew(its_crew) {}

  std::uint32_t const number;
  work::Crew& crew;
  State state = State::open;
  std::vector<Rank> ranks;
  Flights flights;

  work::Board& board() const noexcept { return crew.board(); }
  work::TaskContext context(work::TaskId id) {
    return {crew.segment(), modules_,      fork_detector_, codes_,
            annexes_,       board().tasks, crew.entry(id)};
  }

  /// The next task, if there is one. It is looked at until end_look().
  std::optional<work::TaskId> claim() noexcept {
    auto const id = board().tasks.claim(crew.segment(), 0, page());
    if (!id) end_look();
    return id;
  }
  void end_look() noexcept { page() = 0; }

  /// Puts up again what has waited for long enough. Throws: std::bad_alloc.
  void put_up_due() { retried_.publish_due(); }
  /// When there is some.
  base::Deadline next() const { return retried_.next(); }
  /// Whether every task is settled that there is.
  bool is_done() {
    return flights.size() == 0 && !board().tasks.has_work() && !retried_.has_postponed();
  }

  /// A rank has run the task, or gives it back. REQUIRES: no flight has it any more.
  /// Throws: std::bad_alloc.
  void come_home(RecordHead const& head, std::span<std::byte const> body) {
    if (state != State::open || board().failure.is_told()) return;
    page() = head.task.pack();
    // Otherwise it was given up.
    if (crew.entry(head.task).word.load() == claimed(head.task).pack()) {
      if (head.kind == Kind::returned) {
        retried_.put_back(head.task, claimed(head.task));
      } else if (!retried_.retry_after(head.failure, head.task, claimed(head.task))) {
        settle(head, body);
      }
    }
    end_look();
  }

  /// Who waits learns it now; the staff ends when all ranks have. `why`: what is not told yet.
  void break_off(std::string_view why) {
    if (!why.empty()) board().failure.tell(why);
    board().start_error = work::Board::kToldInFailure;
    state = State::broken;
    board().nursery_life.end();
    board().tasks.tell_all();
    crew.pass_on_death();
  }

  /// REQUIRES: the board's phase is Terminating.
  void drop_all() {
    auto& tasks = board().tasks;
    tasks.drop_free(crew.segment());
    for (auto const id : flights.take_latest()) {
      page() = id.pack();
      tasks.settle(crew.entry(id), claimed(id), Phase::Dropped);
      end_look();
    }
  }

 private:
  /// Says what is looked at: see TaskBook::is_over().
  std::atomic<std::uint64_t>& page() const noexcept { return board().pages[0].task; }

  static work::ChunkWord claimed(work::TaskId id) noexcept {
    return {id.generation, 0, Phase::Claimed};
  }

  /// REQUIRES: the task is claimed, and the page names it.
  void settle(RecordHead const& head, std::span<std::byte const> body) {
    auto const its = context(head.task);
    auto& task = its.task;
    wire::Bytes changed;
    if (head.phase == Phase::Lost) {
      auto const others = work::told_of_other_deaths(task, its.board.annex(crew.segment(), task));
      if (!others.empty()) body = changed = with_more(body, others);
    }
    // What went wrong is in the record, whatever it was.
    auto phase = head.phase;
    if (phase != Phase::Done && phase != Phase::Dropped) phase = Phase::Failed;
    task.result_bytes = 0;
    try {
      if (phase != Phase::Dropped) its.keep(body, {});
    } catch (std::bad_alloc const&) {
      phase = Phase::Failed;
      task.result_bytes = 0;  // says so
    }
    its.give_up_input();
    its.board.settle(task, claimed(head.task), phase);
  }

  static wire::Bytes with_more(std::span<std::byte const> body, std::string const& more) {
    auto record = wire::decode<wire::ExceptionRecord>(body);
    if (!record.chain.empty()) record.chain.front().what += "\n    " + more;
    wire::Bytes bytes;
    wire::encode(bytes, record);
    return bytes;
  }

  os::ModuleTable modules_;
  os::ForkDetector fork_detector_;
  work::CodeReader codes_{crew.segment(), crew.board().tasks.codes, modules_};
  work::AnnexMaker annexes_;
  work::RetriedTasks retried_{crew.segment(), crew.board()};
};

}  // namespace multiprocessing::mpi
