// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/session.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include <multiprocessing/future.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/work/staff.hpp>
#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace session_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using namespace multiprocessing::mpi;
using Kind = RecordHead::Kind;
using Phase = work::ChunkWord::Phase;
using mp::RetryOn;
using mp::base::Deadline;

namespace {

/// Does nothing: the test does.
class NoStaff final : public work::Staff {
 public:
  bool is_elsewhere() const noexcept override { return true; }
  void wake() noexcept override {}
  void take_away(work::TaskId) noexcept override {}
  void ask_to_stop(work::TaskId) noexcept override {}
  bool wait_until(Deadline) override { return true; }
  void kill() noexcept override {}
  std::string how_it_ended() override { return "by the test"; }
};

struct Fixture {
  std::shared_ptr<work::Crew> crew = std::make_shared<work::Crew>(1, [](work::Crew& made) {
    made.board().nursery_life.stand_for(mp::os::this_thread_id());
    return std::make_unique<NoStaff>();
  });
  Session session{7, *crew};

  ~Fixture() {
    if (!crew->is_over()) crew->board().nursery_life.end();
  }

  mp::Future<int> submit(work::TaskTerms const& terms = {}) {
    return mp::Future<int>(
        work::submit_call<int (*)(int), int>(crew, "test", terms, &support::square, 3));
  }
  work::TaskId claim() {
    auto const id = session.claim();
    REQUIRE(id.has_value());
    session.end_look();
    return *id;
  }
  void fail(work::TaskId id, Phase phase, RetryOn failure) {
    mp::wire::Bytes body;
    try {
      throw std::range_error("far");
    } catch (...) {
      mp::wire::encode(body, mp::wire::record_current_exception());
    }
    session.come_home({.kind = Kind::result, .task = id, .phase = phase, .failure = failure}, body);
  }
  void answer(work::TaskId id, int value) {
    mp::wire::Bytes body;
    mp::wire::encode(body, value);
    session.come_home({.kind = Kind::result, .task = id, .phase = Phase::Done}, body);
  }
};

}  // namespace

TEST_CASE("what comes home is settled, or goes out again as its terms say", "[mpi]") {
  Fixture own;
  auto const any = own.submit({.retries = 2, .retry_on = RetryOn::timeout | RetryOn::exception});
  own.fail(own.claim(), Phase::Failed, RetryOn::exception);
  own.fail(own.claim(), Phase::Failed, RetryOn::timeout);  // it has thrown in its grace
  own.answer(own.claim(), 9);
  CHECK(any.result() == 9);
  auto const other = own.submit({.retries = 2, .retry_on = RetryOn::timeout});
  own.fail(own.claim(), Phase::Failed, RetryOn::exception);
  CHECK_THROWS_AS(other.result(), std::range_error);
  auto const hopeless = own.submit({.retries = 2, .retry_on = RetryOn::exception});
  own.fail(own.claim(), Phase::Failed, RetryOn());
  CHECK_THROWS_AS(hopeless.result(), std::range_error);
  CHECK(own.session.is_done());
}

TEST_CASE("what waits for its next try is not claimed, and is something to do", "[mpi]") {
  Fixture own;
  auto const future = own.submit({.retries = 1, .backoff_ms = 3'600'000});
  own.fail(own.claim(), Phase::Lost, RetryOn::crash);
  own.session.put_up_due();
  CHECK_FALSE(own.session.claim().has_value());
  CHECK_FALSE(own.session.next().is_never());
  CHECK_FALSE(own.session.is_done());
  CHECK(future.cancel());
  CHECK(own.session.is_done());
}

TEST_CASE("what is asked to stop is not run again, what was given up has no result", "[mpi]") {
  Fixture own;
  auto const stopped = own.submit({.retries = 9});
  auto const id = own.claim();
  stopped.request_stop();
  own.fail(id, Phase::Lost, RetryOn::crash);
  CHECK_THROWS_AS(stopped.result(), std::range_error);
  auto const given_up = own.submit({.retries = 9});
  auto const other = own.claim();
  CHECK(given_up.cancel(mp::cancel_running));
  own.fail(other, Phase::Lost, RetryOn::crash);
  CHECK(given_up.cancelled());
  CHECK_FALSE(own.session.claim().has_value());
}

TEST_CASE("what has ended too many workers says so", "[mpi]") {
  Fixture own;
  own.crew->board().quarantine_after = 2;
  auto const poison = own.submit({.retries = 9});
  own.fail(own.claim(), Phase::Lost, RetryOn::crash);
  own.fail(own.claim(), Phase::Lost, RetryOn::crash);
  CHECK_THAT(support::message_of<std::range_error>([&] { poison.result(); }),
             ContainsSubstring("far") &&
                 ContainsSubstring("1 before it had died, too, so it is not run again"));
}

TEST_CASE("a session that breaks off tells who waits", "[mpi]") {
  Fixture own;
  auto const future = own.submit();
  auto const id = own.claim();
  own.session.break_off("rank 1 has no disk");
  CHECK_THAT(support::message_of<mp::BrokenProcessPool>([&] { future.result(); }),
             ContainsSubstring("rank 1 has no disk"));
  own.answer(id, 9);  // in vain
  CHECK(own.crew->is_over());
}

}  // namespace session_test
