// SPDX-License-Identifier: BSL-1.0
// The first rank's side of all executors: gives the tasks on their boards to the ranks that serve,
// and settles them with what those answer. It claims tasks as a worker does (work/task_board.hpp),
// many at a time, so all that is known of tasks is known of these.
//
//   any thread                this thread                           ranks 1..n-1
//
//   submit() --> board -----> step(): claims 7, 8; flights ------> Station
//   result() <-- entry 7 <--- take(): keeps and settles <---------- result 7
//   cancel(), shutdown() ---> commands, phase: step() ------------> cancel, close
//
//   Demand    Each rank has as many tasks as Load says; first one for each idle worker, then more.
//             Where workers have nothing to do, ranks that have too much are asked for some back.
//   Failure   A task whose worker died is put back for any rank, as often as it may be. A rank
//             that is broken breaks the executor. A rank that dies: MPI ends the job.
//   Shutdown  Closing: when nothing is left to do, ranks are told, and the staff ends with the last
//             answer. Terminating: at once, and what is not settled is dropped.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/mpi/flights.hpp>
#include <multiprocessing/mpi/load.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/mpi/remote_staff.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/annex_maker.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/retried_tasks.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::mpi {

/// Threads: one, but for what goes through Orders.
class Dispatcher {
 public:
  using Kind = RecordHead::Kind;
  using Phase = work::ChunkWord::Phase;
  using Clock = base::Deadline::Clock;

  /// `slots`: of each rank that serves, from rank 1 on.
  Dispatcher(Orders& orders, std::vector<std::uint32_t> slots)
      : orders_(orders), slots_(std::move(slots)) {}

  /// Does what there is to do; what it tells others goes to `mail.to(rank)`. Whether there was
  /// something. Throws: std::bad_alloc.
  template <class Mail>
  bool step(Mail& mail) {
    bool progress = false;
    for (auto& order : orders_.take()) {
      progress = true;
      obey(order, mail);
    }
    for (std::size_t i = 0; i < sessions_.size();) {
      progress = step(*sessions_[i], mail) || progress;
      if (sessions_[i]->state == State::ended) {
        sessions_[i]->staff->tell_ended();  // the last that is done with it
        sessions_.erase(sessions_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
    return progress;
  }

  /// What `rank` has told. Throws: Error when that makes no sense; std::bad_alloc.
  void take(int rank, std::span<std::byte const> packet) {
    auto const now = Clock::now();
    std::uint32_t done = 0;
    Session* last = nullptr;
    for_each_record(packet, [&](RecordHead const& head, std::span<std::byte const> body) {
      auto* const session = find(head.session);
      if (session == nullptr) return;  // it did not end in time, and nobody waits for it any more
      if (last != session && last != nullptr) {
        last->ranks[index_of(rank)].load.note_done(std::exchange(done, 0), now);
      }
      last = session;
      if (head.kind == Kind::result) ++done;
      take(*session, index_of(rank), head, body);
    });
    if (last != nullptr) last->ranks[index_of(rank)].load.note_done(done, now);
  }

  /// Whether nothing is on its way, and nobody has to answer: all news will come by Orders.
  bool is_quiet() const {
    return std::all_of(sessions_.begin(), sessions_.end(), [](auto const& session) {
      return session->state == State::open && session->flights.size() == 0 &&
             session->retried.next().is_never();
    });
  }
  /// When there is something to do, whatever else happens.
  base::Deadline next() const {
    auto next = base::Deadline::never();
    for (auto const& session : sessions_) next = earlier(next, session->retried.next());
    return next;
  }
  bool is_empty() const noexcept { return sessions_.empty(); }

  /// The job ends: nothing is done any more. Ranks are told by the caller.
  void abandon() {
    orders_.close();
    for (auto const& order : orders_.take()) {
      if (order.kind != Orders::Kind::open) continue;
      sessions_.push_back(std::make_unique<Session>(order.session, *order.staff));
    }
    for (auto& session : sessions_) {
      if (session->state != State::broken) break_off(*session, "its run() has ended");
      session->staff->tell_ended();
    }
    sessions_.clear();
  }

 private:
  enum class State { open, closing, broken, ended };

  struct Rank {
    explicit Rank(std::uint32_t workers) : load(workers) {}
    Load load;
    work::CodeNumber codes = 0;  // that it knows
    bool has_ended = false;
    bool is_asked_back = false;
    Clock::time_point given{};  // when it was given something, or asked back, last
  };

  struct Session {
    Session(std::uint32_t its_number, RemoteStaff& its_staff)
        : number(its_number), staff(&its_staff), crew(its_staff.crew()) {}

    std::uint32_t number;
    RemoteStaff* staff;
    work::Crew& crew;
    State state = State::open;
    std::vector<Rank> ranks;
    Flights flights;
    std::size_t next_rank = 0;  // to be given a task first
    os::ModuleTable modules;
    os::ForkDetector fork_detector;
    work::CodeReader codes{crew.segment(), crew.board().tasks.codes, modules};
    work::AnnexMaker annexes;
    work::RetriedTasks retried{crew.segment(), crew.board()};

    work::Board& board() const noexcept { return crew.board(); }
    /// Says what is looked at: see TaskBook::is_over().
    std::atomic<std::uint64_t>& page() const noexcept { return board().pages[0].task; }
    work::TaskContext context(work::TaskId id) {
      return {crew.segment(), modules,       fork_detector, codes,
              annexes,        board().tasks, crew.entry(id)};
    }
  };

  // As short as a packet and its answer take at least: who was given something just now may be
  // about to be done with it.
  static constexpr std::chrono::milliseconds kBetweenRecalls{2};

  static std::size_t index_of(int rank) noexcept { return static_cast<std::size_t>(rank - 1); }
  static int rank_of(std::size_t index) noexcept { return static_cast<int>(index) + 1; }

  Session* find(std::uint32_t number) {
    for (auto const& session : sessions_) {
      if (session->number == number) return session.get();
    }
    return nullptr;
  }

  template <class Mail>
  void obey(Orders::Order& order, Mail& mail) {
    if (order.kind == Orders::Kind::open) return open(order, mail);
    auto* const session = find(order.session);
    if (session == nullptr) return;
    if (order.kind == Orders::Kind::kill) {
      session->state = State::ended;  // without a word from who does not answer
      if (!session->crew.is_over()) session->board().nursery_life.end();
      return;
    }
    auto const* const flight = session->flights.find(order.task);
    if (flight == nullptr) return;
    auto const kind = order.kind == Orders::Kind::cancel ? Kind::cancel : Kind::stop;
    write_record(mail.to(rank_of(flight->rank)),
                 {.kind = kind, .session = session->number, .task = order.task});
  }

  template <class Mail>
  void open(Orders::Order& order, Mail& mail) {
    auto& session = *sessions_.emplace_back(std::make_unique<Session>(order.session, *order.staff));
    session.crew.board().nursery_life.stand_for(os::this_thread_id());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      session.ranks.emplace_back(order.terms.workers != 0 ? order.terms.workers : slots_[i]);
      auto& packet = mail.to(rank_of(i));
      wire::Bytes body(sizeof order.terms + order.initializer.size());
      std::memcpy(body.data(), &order.terms, sizeof order.terms);
      std::copy(order.initializer.begin(), order.initializer.end(),
                body.begin() + sizeof order.terms);
      write_record(packet, {.kind = Kind::open, .session = session.number}, body);
    }
    order.staff->tell_begun();
  }

  template <class Mail>
  bool step(Session& session, Mail& mail) {
    auto& board = session.board();
    if (session.state == State::open) {
      session.retried.publish_due();
      if (board.failure.is_told()) {
        break_off(session, {});
        close(session, Ending::terminate, mail);
        return true;
      }
      // Before the look at the board: nothing comes after the end of Open.
      auto const phase = board.phase.load();
      if (phase == work::Board::Phase::Terminating) {
        drop_all(session);
        session.state = State::closing;
        close(session, board.is_killing ? Ending::kill : Ending::terminate, mail);
        return true;
      }
      if (give_out(session, mail)) return true;
      if (phase == work::Board::Phase::Closing && session.flights.size() == 0 &&
          !board.tasks.has_work() && !session.retried.has_postponed()) {
        session.state = State::closing;
        close(session, Ending::finish, mail);
        return true;
      }
      return false;
    }
    if (!std::all_of(session.ranks.begin(), session.ranks.end(),
                     [](Rank const& rank) { return rank.has_ended; })) {
      return false;
    }
    if (session.state == State::closing) {
      board.nursery_life.end();
      board.tasks.tell_all();
    }
    session.state = State::ended;
    return true;
  }

  template <class Mail>
  void close(Session& session, Ending ending, Mail& mail) {
    for (std::size_t i = 0; i < session.ranks.size(); ++i) {
      write_record(mail.to(rank_of(i)), {.kind = Kind::close,
                                         .session = session.number,
                                         .count = static_cast<std::uint32_t>(ending)});
    }
  }

  /// Who waits learns it now; the staff ends when all ranks have. `why`: what is not told yet.
  void break_off(Session& session, std::string_view why) {
    auto& board = session.board();
    if (!why.empty()) board.failure.tell(why);
    board.start_error = work::Board::kToldInFailure;
    session.state = State::broken;
    board.nursery_life.end();
    board.tasks.tell_all();
    session.crew.pass_on_death();
  }

  /// REQUIRES: the board's phase is Terminating.
  void drop_all(Session& session) {
    auto& tasks = session.board().tasks;
    tasks.drop_free(session.crew.segment());
    for (auto const id : session.flights.take_latest()) {
      session.page() = id.pack();
      tasks.settle(session.crew.entry(id), claimed(id), Phase::Dropped);
      session.page() = 0;
    }
  }

  static work::ChunkWord claimed(work::TaskId id) noexcept {
    return {id.generation, 0, Phase::Claimed};
  }

  /// Whether there was something.
  template <class Mail>
  bool give_out(Session& session, Mail& mail) {
    auto& tasks = session.board().tasks;
    if (!tasks.has_work()) return session.flights.size() != 0 && ask_back(session, mail);
    auto const now = Clock::now();
    bool any = false;
    // One for each idle worker first, so that few tasks do not all go to one rank.
    for (bool some = true; some;) {
      some = false;
      for (std::size_t n = 0; n < session.ranks.size(); ++n) {
        auto const rank = session.next_rank++ % session.ranks.size();
        if (session.ranks[rank].load.idle_workers() == 0) continue;
        if (!give(session, rank, now, mail)) return any;
        some = any = true;
      }
    }
    for (std::size_t n = 0; n < session.ranks.size(); ++n) {
      auto const rank = session.next_rank++ % session.ranks.size();
      auto const room = session.ranks[rank].load.room();
      // What is left is for the others, too.
      auto const share = tasks.waiting() / session.ranks.size() + 1;
      for (auto count = std::min<std::uint64_t>(room, share); count != 0; --count) {
        if (session.ranks[rank].load.room() == 0) break;
        if (!give(session, rank, now, mail)) return any;
        any = true;
      }
    }
    return any;
  }

  /// Claims a task for the rank. False: there is none.
  template <class Mail>
  bool give(Session& session, std::size_t index, Clock::time_point now, Mail& mail) {
    auto const id = session.board().tasks.claim(session.crew.segment(), 0, session.page());
    if (!id) {
      session.page() = 0;
      return false;
    }
    auto& rank = session.ranks[index];
    auto& packet = mail.to(rank_of(index));
    tell_codes(session, rank, packet);
    auto const context = session.context(*id);
    auto const& task = context.task;
    auto const input = context.input();
    RecordHead head{.kind = Kind::task, .session = session.number, .task = *id, .code = task.code};
    head.timeout_ms = task.timeout_ms;
    if (task.has_annex()) {
      auto const& annex = session.board().tasks.annex(session.crew.segment(), task);
      if (task.timeout_ms != 0) head.grace_ms = annex.grace_ms;
      if (task.retries != 0) head.backoff_ms = annex.backoff_ms;
    }
    // After deaths it is put back here, for any rank.
    auto const retry_on = task.flags.load() >> work::TaskEntry::kRetryOnShift & kAllReasons;
    head.retry_on = static_cast<std::uint8_t>(retry_on & ~static_cast<unsigned>(RetryOn::crash));
    if (head.retry_on != 0) {
      head.retries =
          static_cast<std::uint16_t>(task.retries - std::min(task.retries, task.failures));
    }
    write_record(packet, head, input);
    if (task.is_to_stop()) {
      write_record(packet, {.kind = Kind::stop, .session = session.number, .task = *id});
    }
    session.flights.add(*id, {.rank = index, .bytes = input.size()});
    session.page() = 0;
    rank.load.add(input.size(), now);
    rank.given = now;
    return true;
  }
  static constexpr unsigned kAllReasons = 7;

  static void tell_codes(Session& session, Rank& rank, wire::Bytes& packet) {
    auto const count = session.crew.code_count();
    for (; rank.codes < count; ++rank.codes) {
      auto const& place = session.board().tasks.codes.place(session.crew.segment(), rank.codes);
      write_record_of(packet, {.kind = Kind::code, .session = session.number}, place);
    }
  }

  /// Of the rank that has most that waits, half, when others have nothing to do.
  template <class Mail>
  bool ask_back(Session& session, Mail& mail) {
    std::uint32_t idle = 0;
    Rank* most = nullptr;
    std::size_t most_index = 0;
    for (std::size_t i = 0; i < session.ranks.size(); ++i) {
      auto& rank = session.ranks[i];
      idle += rank.load.idle_workers();
      if (rank.load.waiting_tasks() == 0 || rank.is_asked_back) continue;
      if (most != nullptr && most->load.waiting_tasks() >= rank.load.waiting_tasks()) continue;
      most = &rank;
      most_index = i;
    }
    if (idle == 0 || most == nullptr) return false;
    auto const now = Clock::now();
    if (now - most->given < kBetweenRecalls) return false;
    auto const count = std::min(idle, (most->load.waiting_tasks() + 1) / 2);
    write_record(mail.to(rank_of(most_index)),
                 {.kind = Kind::recall,
                  .session = session.number,
                  .count = std::max(count, most->load.waiting_tasks() / 2)});
    most->is_asked_back = true;
    most->given = now;
    most->load.slow_down();
    return true;
  }

  void take(Session& session, std::size_t index, RecordHead const& head,
            std::span<std::byte const> body) {
    auto& rank = session.ranks[index];
    switch (head.kind) {
      case Kind::ended:
        rank.has_ended = true;
        return;
      case Kind::broken:
        if (session.state == State::open) session.board().failure.tell(text_in(body));
        return;
      case Kind::recalled:
        rank.is_asked_back = false;
        return;
      case Kind::returned:
      case Kind::result:
        break;
      default:
        throw Error("mpi: the first rank was told something that is not for it");
    }
    auto const flight = session.flights.take(head.task);
    if (!flight) return;  // dropped by drop_all()
    rank.load.remove(flight->bytes);
    if (session.state != State::open || session.board().failure.is_told()) return;
    session.page() = head.task.pack();
    if (session.crew.entry(head.task).word.load() == claimed(head.task).pack()) {
      if (head.kind == Kind::returned) {
        session.retried.put_back(head.task, claimed(head.task));
      } else {
        settle(session, head, body);
      }
    }
    session.page() = 0;
  }

  /// REQUIRES: the task is claimed, and the page names it.
  void settle(Session& session, RecordHead const& head, std::span<std::byte const> body) {
    auto const context = session.context(head.task);
    auto& task = context.task;
    auto phase = head.phase;
    auto const failed = task.failures + head.count;
    task.failures = static_cast<std::uint16_t>(std::min<std::uint32_t>(failed, UINT16_MAX));
    wire::Bytes changed;
    if (phase == Phase::Lost && task.retries != 0) {
      auto& annex = context.annexes.annex_of(session.crew.segment(), context.board, task);
      if (task.may_be_retried_after(RetryOn::crash)) {
        if (annex.deaths + 1U < session.board().quarantine_after) {
          ++annex.deaths;
          session.retried.retry(head.task, claimed(head.task));
          return;
        }
      }
      if (annex.deaths != 0) changed = tell_other_deaths(body, annex.deaths);
    }
    if (!changed.empty()) body = changed;
    // What went wrong is in the record, whatever it was.
    if (phase != Phase::Done && phase != Phase::Dropped) phase = Phase::Failed;
    task.result_bytes = 0;
    try {
      if (phase != Phase::Dropped) context.keep(body, {});
    } catch (std::bad_alloc const&) {
      phase = Phase::Failed;
      task.result_bytes = 0;  // says so
    }
    context.give_up_input();
    session.board().tasks.settle(task, claimed(head.task), phase);
  }

  static wire::Bytes tell_other_deaths(std::span<std::byte const> body, std::uint32_t deaths) {
    auto record = wire::decode<wire::ExceptionRecord>(body);
    if (!record.chain.empty()) {
      record.chain.front().what += "\n    " + std::to_string(deaths) + " before it had died, too";
    }
    wire::Bytes bytes;
    wire::encode(bytes, record);
    return bytes;
  }

  Orders& orders_;
  std::vector<std::uint32_t> const slots_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace multiprocessing::mpi
