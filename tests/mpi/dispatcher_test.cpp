// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/dispatcher.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/future.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace dispatcher_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using namespace multiprocessing::mpi;
using Kind = RecordHead::Kind;
using Phase = work::ChunkWord::Phase;
using mp::base::Deadline;
using support::square;
using namespace std::chrono_literals;

namespace {

/// What ranks were told since the last look.
struct Mail {
  explicit Mail(std::size_t ranks) : packets(ranks + 1) {}
  mp::wire::Bytes& to(int rank, std::size_t = 0) { return packets[static_cast<std::size_t>(rank)]; }
  std::vector<mp::wire::Bytes> packets;
};

/// A dispatcher whose ranks are the test, as is its thread; the executor's calls are in others.
class Ranks {
 public:
  explicit Ranks(std::vector<std::uint32_t> slots)
      : mail_(slots.size()), dispatcher(*orders_, std::move(slots)) {}
  /// Ranks end whatever they are told to, and what they have not told is lost.
  ~Ranks() {
    std::thread closing([this] {
      for (auto const& crew : crews_) crew->terminate("test");
      is_over_ = true;
    });
    while (!is_over_) {
      step();
      for (int rank = 1; rank < static_cast<int>(mail_.packets.size()); ++rank) {
        for (auto const& head : told(rank, Kind::close)) {
          tell(rank, {.kind = Kind::ended, .session = head.session});
        }
      }
      std::this_thread::yield();
    }
    closing.join();
  }

  std::shared_ptr<work::Crew> open(std::uint32_t quarantine_after = UINT32_MAX) {
    std::shared_ptr<work::Crew> crew;
    std::atomic<bool> is_made{false};
    std::thread making([&] {
      crew = std::make_shared<work::Crew>(4, [&](work::Crew& made) {
        made.board().quarantine_after = quarantine_after;
        return std::make_unique<RemoteStaff>(orders_, made, SessionTerms(), mp::wire::Bytes());
      });
      is_made = true;
    });
    while (!is_made) step();
    making.join();
    crews_.push_back(crew);
    return crew;
  }
  static mp::Future<int> submit(std::shared_ptr<work::Crew> const& crew, int x,
                                work::TaskTerms const& terms = {}) {
    return mp::Future<int>(work::submit_call<int (*)(int), int>(crew, "test", terms, &square, x));
  }

  bool step() { return dispatcher.step(mail_); }
  /// What the rank was told of that kind, since the last look at any kind.
  std::vector<RecordHead> told(int rank, Kind kind) {
    std::vector<RecordHead> heads;
    for_each_record(mail_.to(rank), [&](RecordHead const& head, std::span<std::byte const>) {
      if (head.kind == kind) heads.push_back(head);
    });
    mail_.to(rank).clear();
    return heads;
  }
  std::vector<RecordHead> given(int rank) {
    step();
    return told(rank, Kind::task);
  }
  void tell(int rank, RecordHead const& head, std::span<std::byte const> body = {}) {
    mp::wire::Bytes packet;
    write_record(packet, head, body);
    dispatcher.take(rank, packet);
  }
  void answer(int rank, RecordHead head, int value) {
    head.kind = Kind::result;
    head.phase = Phase::Done;
    mp::wire::Bytes body;
    mp::wire::encode(body, value);
    tell(rank, head, body);
  }
  /// What a station says of a worker's death.
  void lose(int rank, RecordHead const& head) { fail(rank, head, Phase::Lost, mp::RetryOn::crash); }
  void fail(int rank, RecordHead head, Phase phase, mp::RetryOn failure) {
    head.kind = Kind::result;
    head.phase = phase;
    head.failure = failure;
    mp::wire::Bytes body;
    try {
      throw mp::WorkerDied("rank says", 12, -9);
    } catch (...) {
      mp::wire::encode(body, mp::wire::record_current_exception());
    }
    tell(rank, head, body);
  }

 private:
  std::shared_ptr<Orders> const orders_ = std::make_shared<Orders>();
  Mail mail_;
  std::vector<std::shared_ptr<work::Crew>> crews_;
  std::atomic<bool> is_over_{false};

 public:
  Dispatcher dispatcher;
};

}  // namespace

TEST_CASE("few tasks go to idle workers, on whichever rank", "[mpi]") {
  Ranks ranks({2, 2, 1});
  auto const crew = ranks.open();
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 5; ++i) futures.push_back(Ranks::submit(crew, i));
  ranks.step();
  std::vector<std::size_t> counts;
  for (int rank : {1, 2, 3}) counts.push_back(ranks.told(rank, Kind::task).size());
  CHECK(counts == std::vector<std::size_t>{2, 2, 1});
  CHECK_FALSE(ranks.dispatcher.is_quiet());
}

TEST_CASE("results come to who waits, in whichever order", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const first = Ranks::submit(crew, 3);
  auto const second = Ranks::submit(crew, 4);
  auto const tasks = ranks.given(1);
  REQUIRE(tasks.size() == 2);
  CHECK(first.running());
  ranks.answer(1, tasks[1], 16);
  CHECK(second.result() == 16);
  CHECK_FALSE(first.done());
  std::thread other([&] { ranks.answer(1, tasks[0], 9); });
  CHECK(first.result() == 9);
  other.join();
  CHECK(ranks.dispatcher.is_quiet());
}

TEST_CASE("a rank is told each function once, before the first task that calls it", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(crew, 3);
  ranks.step();
  CHECK(ranks.told(1, Kind::code).size() == 2);  // how it is run, and square
  auto const again = Ranks::submit(crew, 4);
  ranks.step();
  CHECK(ranks.told(1, Kind::code).empty());
}

TEST_CASE("a task whose worker died goes to a rank again, as often as it may", "[mpi]") {
  Ranks ranks({1, 1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(crew, 3, {.retries = 2});
  for (int run = 0; run < 3; ++run) {
    ranks.step();
    CHECK_FALSE(future.done());
    for (int rank : {1, 2}) {
      for (auto const& head : ranks.told(rank, Kind::task)) ranks.lose(rank, head);
    }
  }
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { future.result(); }),
             ContainsSubstring("rank says") && ContainsSubstring("2 before it had died, too"));
  auto const quarantined = ranks.open(1);
  auto const poison = Ranks::submit(quarantined, 3, {.retries = 9});
  ranks.step();
  for (int rank : {1, 2}) {
    for (auto const& head : ranks.told(rank, Kind::task)) ranks.lose(rank, head);
  }
  CHECK(poison.done());
}

TEST_CASE("what waits for its next try takes no room on a rank", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  work::TaskTerms const patient{
      .retries = 1, .retry_on = mp::RetryOn::exception, .backoff_ms = 3'600'000};
  std::vector<mp::Future<int>> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(Ranks::submit(crew, i, patient));
  for (int failed = 0; failed < 20;) {
    for (auto const& head : ranks.given(1)) {
      ranks.fail(1, head, Phase::Failed, mp::RetryOn::exception);
      ++failed;
    }
  }
  CHECK(ranks.dispatcher.is_quiet());  // it sleeps until their time
  CHECK_FALSE(ranks.dispatcher.next().is_never());
  auto const future = Ranks::submit(crew, 3);
  auto const given = ranks.given(1);
  REQUIRE(given.size() == 1);
  ranks.answer(1, given[0], 9);
  CHECK(future.result() == 9);
  for (auto const& each : waiting) {
    CHECK_FALSE(each.done());
    CHECK(each.cancel());
  }
}

TEST_CASE("who ends waits for no next try", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(
      crew, 3, {.retries = 1, .retry_on = mp::RetryOn::exception, .backoff_ms = 3'600'000});
  ranks.fail(1, ranks.given(1).at(0), Phase::Failed, mp::RetryOn::exception);
  CHECK_FALSE(ranks.dispatcher.next().is_never());
  crew->begin_to_terminate("test");
  ranks.step();
  CHECK(ranks.told(1, Kind::close).size() == 1);
  CHECK(ranks.dispatcher.next().is_never());
  ranks.tell(1, {.kind = Kind::ended, .session = 1});
  CHECK_THROWS_AS(future.result(), mp::CancelledError);
}

TEST_CASE("a rank that takes its time to end is told to hurry", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const endings_told = [&] {
    ranks.step();
    std::vector<Ending> endings;
    for (auto const& head : ranks.told(1, Kind::close)) {
      endings.push_back(static_cast<Ending>(head.count));
    }
    return endings;
  };
  crew->close("test");
  CHECK(endings_told() == std::vector{Ending::finish});
  crew->begin_to_terminate("test", work::Crew::Ending::kill);
  CHECK(endings_told() == std::vector{Ending::kill});
  CHECK(endings_told().empty());
  ranks.tell(1, {.kind = Kind::ended, .session = 1});
}

TEST_CASE("what a rank gives back has failed as often as before", "[mpi]") {
  Ranks ranks({1, 1});
  auto const crew = ranks.open();
  auto const future =
      Ranks::submit(crew, 3, {.retries = 1, .retry_on = mp::RetryOn::timeout, .backoff_ms = 1});
  // Whichever rank it goes to.
  auto const run = [&](auto const& what) {
    int runs = 0;
    ranks.step();
    for (int rank : {1, 2}) {
      for (auto const& head : ranks.told(rank, Kind::task)) {
        ++runs;
        what(rank, head);
      }
    }
    CHECK(runs == 1);
  };
  run([&](int rank, RecordHead const& head) {
    CHECK(head.ends_first == 1);
    ranks.fail(rank, head, Phase::Late, mp::RetryOn::timeout);
  });
  auto const next = ranks.dispatcher.next();
  REQUIRE_FALSE(next.is_never());
  mp::os::poll_until({}, next);
  run([&](int rank, RecordHead returned) {
    CHECK(returned.ends_first == 0);
    returned.kind = Kind::returned;
    ranks.tell(rank, returned);
  });
  CHECK(ranks.dispatcher.next().is_never());  // its time has come before
  run([&](int rank, RecordHead const& head) {
    ranks.fail(rank, head, Phase::Late, mp::RetryOn::timeout);
  });
  CHECK(future.done());
}

TEST_CASE("of what was given up the result is not taken", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(crew, 3);
  auto const tasks = ranks.given(1);
  CHECK_FALSE(future.cancel());
  CHECK(future.cancel(mp::cancel_running));
  ranks.step();
  CHECK(ranks.told(1, Kind::cancel).size() == 1);
  ranks.answer(1, tasks[0], 9);
  CHECK(future.cancelled());
  auto const stopped = Ranks::submit(crew, 4);
  auto const more = ranks.given(1);
  stopped.request_stop();
  ranks.step();
  CHECK(ranks.told(1, Kind::stop).size() == 1);
  ranks.answer(1, more[0], 16);
  CHECK(stopped.result() == 16);
}

TEST_CASE("what was given up counts until its rank has answered, whoever has its entry", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  std::vector<RecordHead> given_up;
  for (int i = 0; i < 2; ++i) {  // as many as the rank has room for
    auto const future = Ranks::submit(crew, i);
    for (auto const& head : ranks.given(1)) given_up.push_back(head);
    REQUIRE(future.cancel(mp::cancel_running));
    ranks.step();
    CHECK(ranks.told(1, Kind::cancel).size() == 1);
  }
  REQUIRE(given_up.size() == 2);
  REQUIRE(given_up[0].task.index == given_up[1].task.index);  // else nothing is shown
  auto const future = Ranks::submit(crew, 5);
  CHECK(ranks.given(1).empty());
  for (auto const& head : given_up) ranks.answer(1, head, 1);
  auto const given = ranks.given(1);
  REQUIRE(given.size() == 1);
  crew->close("test");
  ranks.step();
  CHECK(ranks.told(1, Kind::close).empty());
  ranks.answer(1, given[0], 25);
  CHECK(future.result() == 25);
  ranks.step();
  CHECK(ranks.told(1, Kind::close).size() == 1);
}

TEST_CASE("when a rank has nothing to do, another is asked for what it has not begun", "[mpi]") {
  Ranks ranks({1, 1});
  auto const crew = ranks.open();
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(Ranks::submit(crew, i));
  ranks.step();
  auto const first = ranks.told(1, Kind::task);
  auto const second = ranks.told(2, Kind::task);
  REQUIRE(first.size() == 2);
  REQUIRE(second.size() == 2);
  for (auto const& head : second) ranks.answer(2, head, 5);
  std::vector<RecordHead> recalls;
  while (recalls.empty()) {
    ranks.step();
    recalls = ranks.told(1, Kind::recall);
  }
  CHECK(recalls[0].count == 1);
  ranks.step();
  CHECK(ranks.told(1, Kind::recall).empty());  // not twice
  auto returned = first[1];
  returned.kind = Kind::returned;
  ranks.tell(1, returned);
  ranks.tell(1, {.kind = Kind::recalled, .session = returned.session});
  auto const given = ranks.given(2);
  REQUIRE(given.size() == 1);
  CHECK(given[0].task.index == returned.task.index);
  ranks.answer(2, given[0], 1);
  ranks.answer(1, first[0], 1);
  for (auto const& future : futures) CHECK(future.done());
}

TEST_CASE("a broken rank breaks its executor and no other", "[mpi]") {
  Ranks ranks({1, 1});
  auto const broken = ranks.open();
  auto const other = ranks.open();
  auto const future = Ranks::submit(broken, 1);
  auto const well = Ranks::submit(other, 2);
  ranks.step();
  std::string const why = "rank 1 has no disk";
  ranks.tell(1, {.kind = Kind::broken, .session = 1}, std::as_bytes(std::span(why)));
  ranks.step();
  CHECK(support::message_of<mp::BrokenProcessPool>([&] { future.result(); }) ==
        "test: the pool is broken, rank 1 has no disk");
  CHECK_FALSE(other->is_over());
  CHECK_FALSE(well.done());
}

TEST_CASE("a closed executor ends when all is done and all ranks have said so", "[mpi]") {
  Ranks ranks({1, 1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(crew, 3);
  crew->close("test");
  ranks.step();
  int rank = 0;
  for (int each : {1, 2}) {
    for (auto const& head : ranks.told(each, Kind::task)) {
      rank = each;
      ranks.step();
      CHECK(ranks.told(each, Kind::close).empty());
      ranks.answer(each, head, 9);
    }
  }
  CHECK(rank != 0);
  ranks.step();
  CHECK(ranks.told(1, Kind::close).size() == 1);
  CHECK(ranks.told(2, Kind::close).size() == 1);
  ranks.tell(1, {.kind = Kind::ended, .session = 1});
  ranks.step();
  CHECK_FALSE(crew->is_over());
  ranks.tell(2, {.kind = Kind::ended, .session = 1});
  ranks.step();
  CHECK(crew->is_over());
  crew->join("test");
  CHECK(future.result() == 9);
  CHECK(ranks.dispatcher.is_empty());
}

TEST_CASE("when the job ends, who waits is told", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  auto const future = Ranks::submit(crew, 3);
  ranks.step();
  ranks.dispatcher.abandon();
  CHECK_THAT(support::message_of<mp::BrokenProcessPool>([&] { future.result(); }),
             ContainsSubstring("its run() has ended"));
  CHECK(ranks.dispatcher.is_empty());
}

TEST_CASE("inputs and results of all sizes go whole", "[mpi]") {
  Ranks ranks({1});
  auto const crew = ranks.open();
  using Text = std::string;
  for (std::size_t const size : std::initializer_list<std::size_t>{0, 20, 100, 5000, 2'000'000}) {
    Text const text(size, 'x');
    mp::Future<Text> const future(
        work::submit_call<Text (*)(Text const&), Text>(crew, "test", {}, &support::greet, text));
    ranks.step();
    std::vector<RecordHead> tasks = ranks.told(1, Kind::task);
    REQUIRE(tasks.size() == 1);
    CHECK(tasks[0].size >= size);
    auto head = tasks[0];
    head.kind = Kind::result;
    head.phase = Phase::Done;
    mp::wire::Bytes body;
    mp::wire::encode(body, text);
    ranks.tell(1, head, body);
    CHECK(future.result() == text);
  }
}

}  // namespace dispatcher_test
