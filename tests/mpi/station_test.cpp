// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/station.hpp>

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/lock.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/work/task_code.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace station_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using namespace multiprocessing::mpi;
using Kind = RecordHead::Kind;
using Phase = work::ChunkWord::Phase;
using mp::base::Deadline;
using namespace std::chrono_literals;

namespace {

struct Answer {
  RecordHead head;
  mp::wire::Bytes body;
};

/// Until it is to stop; says when it has begun.
constexpr auto run_until_stopped = [](support::PipeElsewhere told) {
  told.tell();
  while (!mp::stop_requested()) ::sched_yield();
  return 7;
};

/// The first rank, as a station sees it: one session, functions that are numbered as they come.
class FirstRank {
 public:
  Station station{"rank 2 on here", 1};
  std::vector<Answer> answers;

  void open(work::Initializer const& initializer = {}, SessionTerms const& terms = {}) {
    mp::wire::Bytes body(sizeof terms);
    std::memcpy(body.data(), &terms, sizeof terms);
    if (initializer) initializer.save(body);
    tell({.kind = Kind::open}, body);
  }
  void tell(RecordHead head, std::span<std::byte const> body = {}) {
    head.session = 1;
    mp::wire::Bytes packet;
    write_record(packet, head, body);
    station.take(packet, reply_);
  }
  /// Calls `f`, a lambda without captures, in a worker. Returns its number, a new one unless
  /// `head` has one.
  template <class F, class... Args>
  std::uint32_t submit(RecordHead head, F const& f, Args const&... args) {
    using Code = work::CallCode<F, Args...>;
    auto const place = mp::wire::place_of(&Code::run);
    mp::wire::Bytes packet;
    write_record_of(packet, {.kind = Kind::code, .session = 1}, place);
    mp::wire::Bytes input;
    mp::wire::Parcel parcel;
    Code::write(input, parcel, *this, f, args...);
    head.kind = Kind::task;
    head.session = 1;
    head.code = codes_++;
    if (head.task.generation == 0) head.task = {1, head.code};
    write_record(packet, head, input);
    station.take(packet, reply_);
    return head.task.index;
  }

  void harvest() {
    station.harvest(reply_);
    for_each_record(reply_, [&](RecordHead const& head, std::span<std::byte const> body) {
      answers.push_back({head, {body.begin(), body.end()}});
    });
    reply_.clear();
  }
  /// Blocks: until there are so many answers.
  void await(std::size_t count) {
    while (answers.size() < count) {
      harvest();
      if (answers.size() < count) station.wait(Deadline::after(10ms));
    }
  }
  Answer const& answer_of(std::uint32_t number) {
    for (auto const& answer : answers) {
      if (answer.head.kind == Kind::result && answer.head.task.index == number) return answer;
    }
    throw std::out_of_range("no answer");
  }
  /// What has gone wrong.
  std::string error_of(std::uint32_t number) {
    std::span<std::byte const> body = answer_of(number).body;
    return mp::wire::format(mp::wire::decode<mp::wire::ExceptionRecord>(body));
  }
  template <class T>
  T value_of(std::uint32_t number) {
    std::span<std::byte const> body = answer_of(number).body;
    return mp::wire::decode<T>(body);
  }
  /// Ends the session, and waits for that.
  void close(Ending ending = Ending::finish) {
    tell({.kind = Kind::close, .count = static_cast<std::uint32_t>(ending)});
    await_end();
  }
  void await_end() {
    while (answers.empty() || answers.back().head.kind != Kind::ended) await(answers.size() + 1);
  }

 private:
  mp::wire::Bytes reply_;
  std::uint32_t codes_ = 0;
};

}  // namespace

TEST_CASE("a station does what it is sent, and answers each once", "[mpi]") {
  FirstRank first;
  first.open();
  for (int i = 0; i < 300; ++i) {
    first.submit(
        {}, [](int x) { return x * x; }, i);
  }
  CHECK(first.station.is_busy());
  first.await(300);
  CHECK(first.answers.size() == 300);
  for (std::uint32_t i = 0; i < 300; ++i) CHECK(first.value_of<int>(i) == static_cast<int>(i * i));
  CHECK_FALSE(first.station.is_busy());
  first.close();
  first.tell({.kind = Kind::quit});
  CHECK(first.station.has_quit());
}

TEST_CASE("a station tells what has gone wrong, and where", "[mpi]") {
  FirstRank first;
  first.open();
  auto const thrown = first.submit({}, [] { throw std::range_error("far"); });
  auto const killed = first.submit({}, [] { std::raise(SIGKILL); });
  auto const late = first.submit({.timeout_ms = 10}, [] {
    for (;;) ::pause();
  });
  auto const holds_memory = first.submit({}, [] { return mp::Lock(); });
  auto const well = first.submit({}, [] { return 5; });
  first.await(5);
  CHECK(first.answer_of(thrown).head.phase == Phase::Failed);
  CHECK_THAT(first.error_of(thrown), ContainsSubstring("std::range_error: far\nin process") &&
                                         ContainsSubstring("PoolWorker-"));
  CHECK(first.answer_of(killed).head.phase == Phase::Lost);
  CHECK_THAT(first.error_of(killed),
             ContainsSubstring("WorkerDied: rank 2 on here: worker process") &&
                 ContainsSubstring("SIGKILL"));
  CHECK(first.answer_of(late).head.phase == Phase::Late);
  CHECK_THAT(first.error_of(late), ContainsSubstring("TaskTimeout: rank 2 on here"));
  CHECK(first.answer_of(holds_memory).head.phase == Phase::Failed);
  CHECK_THAT(first.error_of(holds_memory), ContainsSubstring("another machine"));
  CHECK(first.value_of<int>(well) == 5);
  CHECK(first.answer_of(thrown).head.failure == mp::RetryOn::exception);
  CHECK(first.answer_of(killed).head.failure == mp::RetryOn::crash);
  CHECK(first.answer_of(late).head.failure == mp::RetryOn::timeout);
  CHECK(first.answer_of(holds_memory).head.failure == mp::RetryOn());  // it would again
  CHECK(first.answer_of(well).head.failure == mp::RetryOn());
  first.close();
}

TEST_CASE("what throws in its grace has failed by its time", "[mpi]") {
  FirstRank first;
  first.open();
  auto const polite = first.submit({.timeout_ms = 1, .grace_ms = 3'600'000}, [] {
    while (!mp::stop_requested()) ::sched_yield();
    throw std::runtime_error("stopped");
  });
  first.await(1);
  CHECK(first.answer_of(polite).head.phase == Phase::Failed);
  CHECK(first.answer_of(polite).head.failure == mp::RetryOn::timeout);
  first.close();
}

TEST_CASE("what is late and may be run elsewhere is told when its worker has ended", "[mpi]") {
  FirstRank first;
  first.open();
  auto const who = first.submit({}, [] { return ::getpid(); });
  first.await(1);
  auto const pid = first.value_of<pid_t>(who);
  auto const late = first.submit({.timeout_ms = 1, .ends_first = 1}, [] {
    for (;;) ::pause();
  });
  first.await(2);
  CHECK(::kill(pid, 0) == -1);
  CHECK(first.answer_of(late).head.phase == Phase::Late);
  CHECK(first.answer_of(late).head.failure == mp::RetryOn::timeout);
  CHECK_THAT(first.error_of(late), ContainsSubstring("TaskTimeout: rank 2 on here"));
  first.close();
}

TEST_CASE("an executor that does not end at once holds up no other", "[mpi]") {
  FirstRank first;
  first.open();
  auto const who = first.submit({}, [] { return ::getppid(); });
  first.await(1);
  auto const nursery = first.value_of<pid_t>(who);
  ::kill(nursery, SIGSTOP);
  support::wait_for_state(nursery, "T");
  first.tell({.kind = Kind::close, .count = static_cast<std::uint32_t>(Ending::terminate)});
  CHECK(::kill(nursery, SIGCONT) == 0);  // it is there: nobody has waited for its end
  first.await_end();
  CHECK(first.answers.size() == 2);
}

TEST_CASE("what no worker has begun is given back, what one runs can be ended or stopped",
          "[mpi]") {
  FirstRank first;
  support::Pipe begun;
  first.open();
  auto const told = support::PipeElsewhere::of(begun);
  auto const running = first.submit({}, run_until_stopped, told);
  begun.hear();
  auto const polite = first.submit({}, run_until_stopped, told);
  for (int i = 0; i < 4; ++i) first.submit({}, [] { return 1; });
  first.tell({.kind = Kind::recall, .count = 3});
  first.await(4);
  CHECK(first.answers[0].head.kind == Kind::returned);
  CHECK(first.answers[0].head.task.index == 5);
  CHECK(first.answers[2].head.task.index == 3);
  CHECK(first.answers[3].head.kind == Kind::recalled);
  first.tell({.kind = Kind::cancel, .task = {1, running}});
  first.await(5);
  CHECK(first.answer_of(running).head.phase == Phase::Dropped);
  begun.hear();
  first.tell({.kind = Kind::stop, .task = {1, polite}});
  first.await(7);
  CHECK(first.value_of<int>(polite) == 7);
  CHECK(first.value_of<int>(2) == 1);
  first.close();
}

TEST_CASE("what is sent once more while an older one runs can be stopped and ended, too", "[mpi]") {
  FirstRank first;
  support::Pipe begun;
  first.open({}, {.workers = 2});
  auto const told = support::PipeElsewhere::of(begun);
  first.submit({}, run_until_stopped, told);
  begun.hear();
  auto const failing = first.submit({}, [] { throw std::runtime_error("not yet"); });
  first.await(1);
  for (auto const kind : {Kind::stop, Kind::cancel}) {
    first.answers.clear();
    first.submit({.task = {1, failing}}, run_until_stopped, told);
    begun.hear();
    first.tell({.kind = kind, .task = {1, failing}});
    first.await(1);
    auto const expected = kind == Kind::stop ? Phase::Done : Phase::Dropped;
    CHECK(first.answer_of(failing).head.phase == expected);
  }
  first.close(Ending::kill);
}

TEST_CASE("a stopped worker at rest holds up no task that another could run", "[mpi]") {
  FirstRank first;
  support::Pipe begun;
  first.open({}, {.workers = 2});
  auto const tell_pid = [](support::PipeElsewhere told) {
    told.tell();
    while (!mp::stop_requested()) ::sched_yield();
    return ::getpid();
  };
  for (int i = 0; i < 2; ++i) {
    first.submit({}, tell_pid, support::PipeElsewhere::of(begun));
    begun.hear();
  }
  for (std::uint32_t i = 0; i < 2; ++i) first.tell({.kind = Kind::stop, .task = {1, i}});
  first.await(2);
  for (std::uint32_t stopped : {0U, 1U}) {  // whoever was woken last
    auto const pid = first.value_of<pid_t>(stopped);
    support::wait_for_state(pid, "S");
    ::kill(pid, SIGSTOP);
    support::wait_for_state(pid, "T");
    for (int i = 0; i < 3; ++i) {
      first.submit({}, [] { return 1; });
      first.await(first.answers.size() + 1);
    }
    ::kill(pid, SIGCONT);
  }
  first.close();
}

TEST_CASE("a crew that breaks is told once, and then answers nothing more", "[mpi]") {
  FirstRank first;
  first.open([] { throw std::runtime_error("no model"); });
  first.await(1);
  CHECK(first.answers[0].head.kind == Kind::broken);
  CHECK(text_in(first.answers[0].body) ==
        "rank 2 on here: its initializer has thrown std::runtime_error: no model");
  first.submit({}, [] { return 1; });
  first.close(Ending::terminate);
  CHECK(first.answers.size() == 2);
}

TEST_CASE("a station ends sessions in whichever way, and itself with all of them", "[mpi]") {
  FirstRank first;
  first.open();
  first.submit({}, [] {
    for (;;) ::pause();
  });
  first.close(Ending::kill);
  CHECK(first.answer_of(0).head.phase == Phase::Dropped);
  first.open();
  first.submit({}, [] {
    for (;;) ::pause();
  });
  CHECK_THROWS_AS(first.tell({.kind = Kind::result}), mp::Error);
}  // nothing is left behind

}  // namespace station_test
