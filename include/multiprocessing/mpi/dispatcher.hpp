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
//   Failure   What has failed and may be tried again waits here for its time, then goes to any
//             rank (mpi/session.hpp). A rank that is broken breaks the executor. A rank that dies:
//             MPI ends the job.
//   Shutdown  Closing: when nothing is left to do, ranks are told, and the staff ends with the last
//             answer. Terminating: at once, and what is not settled is dropped.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/mpi/remote_staff.hpp>
#include <multiprocessing/mpi/session.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/chunk.hpp>

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
    for (std::size_t i = 0; i < executors_.size();) {
      progress = step(*executors_[i], mail) || progress;
      if (executors_[i]->session.state == State::ended) {
        auto& staff = executors_[i]->staff;
        executors_.erase(executors_.begin() + static_cast<std::ptrdiff_t>(i));
        staff.tell_ended();
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

  /// Whether nothing is on its way, and nobody has to answer: until next(), all news will come by
  /// Orders.
  bool is_quiet() const {
    return std::all_of(executors_.begin(), executors_.end(), [](auto const& executor) {
      auto const& session = executor->session;
      return session.state == State::open && session.flights.size() == 0;
    });
  }
  /// When there is something to do, whatever else happens.
  base::Deadline next() const {
    auto next = base::Deadline::never();
    for (auto const& executor : executors_) {
      auto const& session = executor->session;
      if (session.state == State::open) next = earlier(next, session.next());
    }
    return next;
  }
  bool is_empty() const noexcept { return executors_.empty(); }

  /// The job ends: nothing is done any more. Ranks are told by the caller.
  void abandon() {
    orders_.close();
    for (auto const& order : orders_.take()) {
      if (order.kind != Orders::Kind::open) continue;
      executors_.push_back(std::make_unique<Executor>(order.session, *order.staff));
    }
    for (auto& executor : std::exchange(executors_, {})) {
      auto& session = executor->session;
      if (session.state != State::broken) session.break_off("its run() has ended");
      auto& staff = executor->staff;
      executor = nullptr;
      staff.tell_ended();
    }
  }

 private:
  using State = Session::State;
  using Rank = Session::Rank;

  struct Executor {
    Executor(std::uint32_t number, RemoteStaff& its_staff)
        : staff(its_staff), session(number, its_staff.crew()) {}

    RemoteStaff& staff;
    Session session;
    std::size_t next_rank = 0;      // to be given a task first
    bool may_take_its_time = true;  // as long as its ranks were not told otherwise
  };

  // As short as a packet and its answer take at least: who was given something just now may be
  // about to be done with it.
  static constexpr std::chrono::milliseconds kBetweenRecalls{2};

  static std::size_t index_of(int rank) noexcept { return static_cast<std::size_t>(rank - 1); }
  static int rank_of(std::size_t index) noexcept { return static_cast<int>(index) + 1; }

  Session* find(std::uint32_t number) {
    for (auto const& executor : executors_) {
      if (executor->session.number == number) return &executor->session;
    }
    return nullptr;
  }

  template <class Mail>
  void obey(Orders::Order& order, Mail& mail) {
    if (order.kind == Orders::Kind::open) return open(order, mail);
    auto* const session = find(order.session);
    if (session == nullptr) return;
    if (order.kind == Orders::Kind::kill) {
      if (session->board().phase.load() == work::Board::Phase::Terminating) session->drop_all();
      close(*session, Ending::kill, mail);
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
    auto& session =
        executors_.emplace_back(std::make_unique<Executor>(order.session, *order.staff))->session;
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
  bool step(Executor& executor, Mail& mail) {
    auto& session = executor.session;
    auto& board = session.board();
    if (session.state == State::open) {
      session.put_up_due();
      if (board.failure.is_told()) {
        session.break_off({});
        end_now(executor, mail);
        return true;
      }
      // Before the look at the board: nothing comes after the end of Open.
      auto const phase = board.phase.load();
      if (phase == work::Board::Phase::Terminating) {
        session.drop_all();
        session.state = State::closing;
        end_now(executor, mail);
        return true;
      }
      if (give_out(executor, mail)) return true;
      if (phase == work::Board::Phase::Closing && session.is_done()) {
        session.state = State::closing;
        close(session, Ending::finish, mail);
        return true;
      }
      return false;
    }
    if (executor.may_take_its_time && board.phase.load() == work::Board::Phase::Terminating) {
      end_now(executor, mail);
      return true;
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
  void end_now(Executor& executor, Mail& mail) {
    executor.may_take_its_time = false;
    auto& session = executor.session;
    close(session, session.board().is_killing ? Ending::kill : Ending::terminate, mail);
  }

  template <class Mail>
  void close(Session& session, Ending ending, Mail& mail) {
    for (std::size_t i = 0; i < session.ranks.size(); ++i) {
      write_record(mail.to(rank_of(i)), {.kind = Kind::close,
                                         .session = session.number,
                                         .count = static_cast<std::uint32_t>(ending)});
    }
  }

  /// Whether there was something.
  template <class Mail>
  bool give_out(Executor& executor, Mail& mail) {
    auto& session = executor.session;
    auto& tasks = session.board().tasks;
    if (!tasks.has_work()) return session.flights.size() != 0 && ask_back(session, mail);
    auto const now = Clock::now();
    bool any = false;
    // One for each idle worker first, so that few tasks do not all go to one rank.
    for (bool some = true; some;) {
      some = false;
      for (std::size_t n = 0; n < session.ranks.size(); ++n) {
        auto const rank = executor.next_rank++ % session.ranks.size();
        if (session.ranks[rank].load.idle_workers() == 0) continue;
        if (!give(session, rank, now, mail)) return any;
        some = any = true;
      }
    }
    for (std::size_t n = 0; n < session.ranks.size(); ++n) {
      auto const rank = executor.next_rank++ % session.ranks.size();
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
    auto const id = session.claim();
    if (!id) return false;
    auto& rank = session.ranks[index];
    auto const context = session.context(*id);
    auto const& task = context.task;
    auto const input = context.input();
    auto& packet = mail.to(rank_of(index), input.size() + sizeof(RecordHead));
    tell_codes(session, rank, packet);
    RecordHead head{.kind = Kind::task, .session = session.number, .task = *id, .code = task.code};
    head.timeout_ms = task.timeout_ms;
    if (task.timeout_ms != 0 && task.has_annex()) {
      head.grace_ms = session.board().tasks.annex(session.crew.segment(), task).grace_ms;
    }
    head.ends_first = task.may_be_retried_after(RetryOn::timeout) ? 1 : 0;
    write_record(packet, head, input);
    if (task.is_to_stop()) {
      write_record(packet, {.kind = Kind::stop, .session = session.number, .task = *id});
    }
    session.flights.add(*id, {.rank = index, .bytes = input.size()});
    session.end_look();
    rank.load.add(input.size(), now);
    rank.given = now;
    return true;
  }

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
    session.come_home(head, body);
  }

  Orders& orders_;
  std::vector<std::uint32_t> const slots_;
  std::vector<std::unique_ptr<Executor>> executors_;
};

}  // namespace multiprocessing::mpi
