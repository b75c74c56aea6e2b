// SPDX-License-Identifier: BSL-1.0
// A rank that serves: it has a crew of workers for each executor of the first rank, and does with
// them what that sends.
//
//   packets of the first rank           this rank                       worker processes
//
//   open ----------------------------> Session 1: a crew ------------> #0..n-1
//   task 7, task 8 -----------------> submit(); flights 7, 8 -------> run 7
//   <---- result 7: value | error ---- harvest(): settled ones <------ settle
//
//   Failure   A worker dies: its crew says so at its task, and replaces it. A crew is broken: that
//             is told once. This rank dies: MPI ends the job.
//   Shutdown  close: the crew's end is told when its processes have ended.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/any_of.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/task.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::mpi {

/// Threads: one.
class Station {
 public:
  using Kind = RecordHead::Kind;
  using Phase = work::ChunkWord::Phase;

  /// `where`: "rank 2 on node3". `slots`: how many workers an executor has here by default.
  Station(std::string where, int slots) : where_(std::move(where)), slots_(slots) {}
  Station(Station const&) = delete;
  Station& operator=(Station const&) = delete;
  ~Station() {
    for (auto& [number, session] : sessions_) end_now(session);
  }

  /// Does what the first rank says; answers go to `reply`. Blocks: while processes start. Throws:
  /// Error when it says nothing that makes sense; std::bad_alloc.
  void take(std::span<std::byte const> packet, wire::Bytes& reply) {
    be_patient();
    for_each_record(packet, [&](RecordHead const& head, std::span<std::byte const> body) {
      if (head.kind == Kind::quit) {
        has_quit_ = true;
      } else if (head.kind == Kind::open) {
        open(head, body, reply);
      } else if (auto const found = sessions_.find(head.session); found != sessions_.end()) {
        take(found->second, head, body, reply);
      }
    });
  }

  /// Tells what has come of what there is to do. Whether there was news.
  bool harvest(wire::Bytes& reply) {
    auto const before = reply.size();
    for (auto session = sessions_.begin(); session != sessions_.end();) {
      auto const next = std::next(session);
      if (harvest(session->second, reply)) sessions_.erase(session);
      session = next;
    }
    bool const is_news = reply.size() != before;
    if (is_news) be_patient();
    return is_news;
  }

  bool has_quit() const noexcept { return has_quit_; }
  /// Whether workers have something to do.
  bool is_busy() const noexcept {
    return std::any_of(sessions_.begin(), sessions_.end(), [](auto const& each) {
      return !each.second.flights.empty() || each.second.is_closing;
    });
  }

  /// Blocks: until there may be news, or the deadline passes.
  void wait(base::Deadline deadline) {
    std::vector<work::Crew*> crews;
    for (auto& [number, session] : sessions_) {
      if (session.crew != nullptr && !session.flights.empty()) crews.push_back(session.crew.get());
    }
    if (patience_.passed()) {
      patience_ = base::Deadline::never();
      for (auto* const crew : crews) crew->board().lose_patience(deadline);
    }
    auto const told = work::any_of_detail::told_by(crews);
    bool const is_news = std::any_of(sessions_.begin(), sessions_.end(), [](auto const& each) {
      return each.second.crew != nullptr && each.second.told != told_of(each.second);
    });
    if (is_news) return;
    auto const until = earlier(deadline, patience_);
    if (!work::any_of_detail::sleep(crews, told, until)) os::poll_until({}, deadline);
  }

 private:
  /// A task of the first rank's, here. Its crew's id has generation 0 once it is done.
  struct Flight {
    work::TaskId here;
    work::TaskId there;
  };
  struct Session {
    std::uint32_t number = 0;
    std::shared_ptr<work::Crew> crew;  // null: it could not be made, which has been told
    std::deque<Flight> flights;        // in the order in which workers claim them
    std::uint64_t told = 0;            // by the board, at the last look
    bool looks_at_all = false;         // next time: not only workers settle
    bool is_broken = false;            // and that has been told
    bool is_closing = false;
  };

  static constexpr char const* kCall = "mpi";

  static std::uint64_t told_of(Session const& session) {
    return session.crew->board().tasks.told.load();
  }

  void open(RecordHead const& head, std::span<std::byte const> body, wire::Bytes& reply) {
    auto& session = sessions_[head.session];
    session.number = head.session;
    try {
      session.crew = make_crew(take_plain<SessionTerms>(body), body);
    } catch (std::exception const& error) {
      tell_broken(session, error.what(), reply);
    }
  }

  std::shared_ptr<work::Crew> make_crew(SessionTerms const& terms,
                                        std::span<std::byte const> initializer) const {
    work::Crew::Options options{terms.workers == 0 ? slots_ : static_cast<int>(terms.workers)};
    options.method = StartMethod::forkserver;  // nothing of MPI's is in its workers
    if (!initializer.empty()) options.initializer = work::Initializer::read(initializer);
    options.max_tasks_per_child = terms.max_tasks_per_child;
    options.max_memory_per_task = terms.max_memory_per_task;
    options.restart_limit = {terms.restart_intensity, terms.restart_period_ms};
    options.setup.has_nice = terms.has_nice != 0;
    options.setup.nice = terms.nice;
    options.setup.processors = slots_;
    return std::make_shared<work::Crew>(options);
  }

  void take(Session& session, RecordHead const& head, std::span<std::byte const> body,
            wire::Bytes& reply) {
    switch (head.kind) {
      case Kind::code:
        if (session.crew != nullptr) session.crew->add_code(take_plain<wire::CodePlace>(body));
        return;
      case Kind::task:
        return submit(session, head, body, reply);
      case Kind::stop:
        return with_flight(session, head.task,
                           [&](work::TaskId id) { session.crew->request_stop(id); });
      case Kind::cancel:
        return with_flight(session, head.task, [&](work::TaskId id) {
          if (!give_up(session, id)) session.crew->cancel_claimed(id);
          session.looks_at_all = true;
        });
      case Kind::recall:
        return give_back(session, head.count, reply);
      case Kind::close:
        return close(session, static_cast<Ending>(head.count));
      default:
        throw Error("mpi: " + where_ + " was told something that is not for it");
    }
  }

  void submit(Session& session, RecordHead const& head, std::span<std::byte const> input,
              wire::Bytes& reply) {
    // The first rank has been told, or is about to be, and waits for no answer then.
    if (session.is_broken || session.is_closing || session.crew->is_over()) return;
    auto& flight = session.flights.emplace_back(Flight{{}, head.task});
    try {
      auto draft = work::TaskDraft::of(head.code, input, {});
      // Whether it is run again decides the first rank.
      draft.terms = {.timeout_ms = head.timeout_ms,
                     .grace_ms = head.grace_ms,
                     .tells_all = true,
                     .ends_first = head.ends_first != 0};
      flight.here = session.crew->submit(kCall, draft);
    } catch (BrokenProcessPool const&) {  // just now: as above
      session.flights.pop_back();
    } catch (...) {
      tell_error(session, flight.there, Phase::Failed, {}, reply);
      session.flights.pop_back();
    }
  }

  /// What was sent once more comes after what it was before.
  template <class Use>
  void with_flight(Session& session, work::TaskId there, Use const& use) {
    auto const found = std::find_if(
        session.flights.begin(), session.flights.end(),
        [&](Flight const& each) { return each.there == there && each.here.generation != 0; });
    if (found != session.flights.end()) use(found->here);
  }

  /// Something has happened, so what was submitted is likely to be looked at.
  void be_patient() noexcept { patience_ = base::Deadline::after(work::Board::kPatience); }

  /// Whether no worker had begun it.
  static bool give_up(Session& session, work::TaskId id) {
    work::ChunkWord const free{id.generation, 0, Phase::Free};
    return session.crew->board().tasks.settle(session.crew->entry(id), free, Phase::Dropped);
  }

  /// The last ones first: those would have waited longest.
  void give_back(Session& session, std::uint32_t count, wire::Bytes& reply) {
    for (auto i = session.flights.size(); i != 0 && count != 0; --i) {
      auto& flight = session.flights[i - 1];
      if (flight.here.generation == 0 || !give_up(session, flight.here)) continue;
      write_record(reply,
                   {.kind = Kind::returned, .session = session.number, .task = flight.there});
      session.crew->release({&flight.here, 1});
      flight.here.generation = 0;
      --count;
    }
    write_record(reply, {.kind = Kind::recalled, .session = session.number});
  }

  void close(Session& session, Ending ending) {
    session.is_closing = true;
    if (session.crew == nullptr) return;
    if (ending == Ending::finish) {
      session.crew->close(kCall);
    } else {
      session.crew->begin_to_terminate(
          kCall, ending == Ending::kill ? work::Crew::Ending::kill : work::Crew::Ending::ask);
    }
  }
  void end_now(Session& session) noexcept {
    if (session.crew == nullptr) return;
    try {
      session.crew->terminate(kCall, work::Crew::Ending::kill);
    } catch (std::exception const&) {  // it ends with this process
    }
  }

  /// Whether it has ended.
  bool harvest(Session& session, wire::Bytes& reply) {
    auto* const crew = session.crew.get();
    // First: what was settled in its end is told below.
    bool const has_ended =
        session.is_closing && (crew == nullptr || crew->join_until(kCall, base::Deadline::now()));
    if (crew != nullptr) {
      auto const told = told_of(session);
      session.looks_at_all = session.looks_at_all || has_ended;
      if (session.told != told || session.looks_at_all) {
        session.told = told;
        tell_settled(session, reply);
      }
      if (!session.is_broken && !session.is_closing && crew->is_over()) {
        session.looks_at_all = true;
        tell_settled(session, reply);
        tell_broken(session, crew->why_broken(), reply);
      }
    }
    if (!has_ended) return false;
    write_record(reply, {.kind = Kind::ended, .session = session.number});
    return true;
  }

  /// Workers claim in order: before one that a worker has settled there are at most as many
  /// unsettled ones as there are workers.
  void tell_settled(Session& session, wire::Bytes& reply) {
    auto& crew = *session.crew;
    auto& flights = session.flights;
    auto unsettled = crew.board().idle.size() + 1;
    bool const looks_at_all = std::exchange(session.looks_at_all, false);
    settled_.clear();
    for (auto& flight : flights) {
      if (flight.here.generation == 0) continue;
      auto const word = crew.entry(flight.here).read();
      if (word.settled()) {
        tell(session, flight, word.phase, reply);
        settled_.push_back(std::exchange(flight.here, {}));
      } else if (--unsettled == 0 && !looks_at_all) {
        break;
      }
    }
    crew.release(settled_);
    while (!flights.empty() && flights.front().here.generation == 0) flights.pop_front();
  }

  void tell(Session& session, Flight const& flight, Phase phase, wire::Bytes& reply) {
    auto& crew = *session.crew;
    auto& task = crew.entry(flight.here);
    if (phase == Phase::Dropped) {
      return write_record(reply, result_of(session, flight.there, phase));
    }
    if (phase != Phase::Done) {
      try {
        throw_error(session, flight, phase);
      } catch (...) {
        return tell_error(session, flight.there, phase, failure_of(task, phase), reply);
      }
    }
    auto const bytes = work::kept_result(crew.segment(), crew.board().tasks, task);
    if (takes_shared_objects(crew, task)) {
      try {
        throw PicklingError(
            "a result that holds shared objects (locks, queues, values ..) can not be sent to "
            "another machine; return what they hold");
      } catch (...) {
        return tell_error(session, flight.there, Phase::Failed, {}, reply);
      }
    }
    write_record(reply, result_of(session, flight.there, Phase::Done), bytes);
  }

  /// REQUIRES: it has not been done.
  static RetryOn failure_of(work::TaskEntry const& task, Phase phase) noexcept {
    if (phase == Phase::Lost) return RetryOn::crash;
    return phase == Phase::Late || task.was_late() ? RetryOn::timeout : RetryOn::exception;
  }

  static bool takes_shared_objects(work::Crew& crew, work::TaskEntry const& task) {
    if (task.result_bytes != work::TaskEntry::kInBlock) return false;
    auto const& annex = crew.board().tasks.annex(crew.segment(), task);
    return !channel::enclosed_in(shm::Arena::block_of(annex.result_id.load())).empty();
  }

  static RecordHead result_of(Session const& session, work::TaskId there, Phase phase,
                              RetryOn failure = {}) {
    return {.kind = Kind::result,
            .session = session.number,
            .task = there,
            .phase = phase,
            .failure = failure};
  }

  /// Throws what has become of it, which is not what its function has thrown.
  [[noreturn]] void throw_error(Session const& session, Flight const& flight, Phase phase) const {
    auto& crew = *session.crew;
    auto& task = crew.entry(flight.here);
    if (phase == Phase::Failed) {
      if (task.result_bytes == 0) throw std::bad_alloc();
      auto bytes = work::kept_result(crew.segment(), crew.board().tasks, task);
      throw ThrownThere{wire::decode<wire::ExceptionRecord>(bytes)};
    }
    work::TaskGroup group(session.crew, where_.c_str());
    group.lend(flight.here);
    static_cast<void>(group.result(0));
    throw Error(where_ + ": nothing is known of what has become of it");
  }
  struct ThrownThere {
    wire::ExceptionRecord record;
  };

  /// REQUIRES: called while an exception is handled.
  void tell_error(Session const& session, work::TaskId there, Phase phase, RetryOn failure,
                  wire::Bytes& reply) const {
    wire::ExceptionRecord record;
    try {
      throw;
    } catch (ThrownThere const& thrown) {
      record = thrown.record;
      wire::add_place(record, where_);
    } catch (...) {
      record = wire::record_current_exception();
      wire::add_origin(record, {where_, os::this_pid(), {}});
    }
    wire::Bytes bytes;
    wire::encode(bytes, record);
    write_record(reply, result_of(session, there, phase, failure), bytes);
  }

  void tell_broken(Session& session, std::string const& why, wire::Bytes& reply) {
    session.is_broken = true;
    session.flights.clear();
    write_record(reply, {.kind = Kind::broken, .session = session.number}, where_ + ": " + why);
  }

  std::string const where_;
  int const slots_;
  std::map<std::uint32_t, Session> sessions_;
  std::vector<work::TaskId> settled_;  // kept, for its memory
  // When all workers are to look for tasks, because who was woken does not. Never: they have.
  base::Deadline patience_ = base::Deadline::never();
  bool has_quit_ = false;
};

}  // namespace multiprocessing::mpi
