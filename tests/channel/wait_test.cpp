// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/wait.hpp>

#include <atomic>
#include <csignal>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_heap.hpp"

namespace wait_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

struct Stage {
  explicit Stage(std::uint64_t block, Lane::Limits limits = {})
      : home(block), lane(block, 0, limits) {}

  std::uint64_t home;
  Lane lane;
  std::atomic<bool> stop{false};
};
using Shared = support::InHeap<Stage>;

auto const kAlone = [](Audience::Others const& others) { return others.is_empty; };
auto const kNeverOver = [](Audience::Others const&) { return false; };
auto const kTake = [](Incoming const&) { return true; };

Passed get(Stage& stage, Deadline deadline) {
  return get_until(
      stage.lane, Audience(stage.home), kTake, kAlone, [&] { return stage.stop.load(); }, deadline);
}
Passed put(Stage& stage, Deadline deadline) {
  auto const& me = mp::sync::this_thread_seated();
  return put_until(
      stage.lane, Audience(stage.home), 0,
      [&](Deadline until) {
        return stage.lane.put(
            me, {}, 0, [](std::byte*) {}, until);
      },
      kAlone, [&] { return stage.stop.load(); }, deadline);
}
int number(Passed passed) { return static_cast<int>(passed); }

}  // namespace

TEST_CASE("what is there is got, what is not until the deadline", "[channel_wait]") {
  Shared const stage;
  CHECK(get(*stage, Deadline::after(0s)) == Passed::TimedOut);
  auto const deadline = Deadline::after(20ms);
  support::Pipe end;
  support::RawChild other([&] { end.hear(); });
  CHECK(get(*stage, deadline) == Passed::TimedOut);
  CHECK(deadline.passed());
  CHECK(put(*stage, Deadline::never()) == Passed::Done);
  CHECK(get(*stage, Deadline::after(0s)) == Passed::Done);
  end.tell();
  other.wait();
}

TEST_CASE("a getter that sleeps is woken by what is put", "[channel_wait]") {
  Shared const stage;
  support::RawChild getter([&] { return number(get(*stage, Deadline::never())); });
  support::wait_until_asleep(getter.pid());
  CHECK(put(*stage, Deadline::never()) == Passed::Done);
  CHECK(getter.wait() == 0);
}

TEST_CASE("a putter that sleeps is woken by room", "[channel_wait]") {
  Shared const stage(Lane::Limits{.messages = 1, .chunks = 0, .weight = 0});
  CHECK(put(*stage, Deadline::never()) == Passed::Done);
  CHECK(put(*stage, Deadline::after(0s)) == Passed::TimedOut);
  support::RawChild putter([&] { return number(put(*stage, Deadline::never())); });
  support::wait_until_asleep(putter.pid());
  CHECK(get(*stage, Deadline::never()) == Passed::Done);
  CHECK(putter.wait() == 0);
  CHECK(stage->lane.count() == 1);
}

TEST_CASE("a wait ends when the last other is killed", "[channel_wait]") {
  Shared const stage;
  support::Pipe ready;
  support::RawChild other([&] {
    ready.tell();
    for (;;) ::pause();
  });
  ready.hear();
  support::RawChild killer([&, pid = ::getpid()] {
    support::wait_until_asleep(pid);
    other.kill();
  });
  // The killer has the block, too, and ends.
  CHECK(get(*stage, Deadline::never()) == Passed::NobodyThere);
  killer.wait();
  other.wait();
  CHECK(get(*stage, Deadline::never()) == Passed::NobodyThere);
}

TEST_CASE("what the last other has put before it was killed is got", "[channel_wait]") {
  Shared const stage;
  support::RawChild([&] {
    static_cast<void>(put(*stage, Deadline::never()));
    std::raise(SIGKILL);
  }).wait();
  CHECK(get(*stage, Deadline::never()) == Passed::Done);
  CHECK(get(*stage, Deadline::never()) == Passed::NobodyThere);
}

TEST_CASE("waits end when the lane is closed, or somebody asks them to", "[channel_wait]") {
  for (bool const close : {true, false}) {
    Shared const stage;
    support::RawChild getter([&] { return number(get(*stage, Deadline::never())); });
    support::wait_until_asleep(getter.pid());
    if (close) {
      stage->lane.close();
    } else {
      stage->stop = true;
      stage->lane.tell_all();
    }
    CHECK(WEXITSTATUS(getter.wait()) == number(Passed::Closed));
  }
}

TEST_CASE("a wait that is never over goes on until it is ready", "[channel_wait]") {
  Shared const stage;
  support::RawChild waiter([&] {
    auto const is_ready = [&] { return stage->lane.count() > 0; };
    auto const waited = wait_at(stage->lane, stage->lane.items(), Audience(stage->home), is_ready,
                                kNeverOver, Deadline::never());
    return waited == mp::sync::Waited::Ready ? 0 : 1;
  });
  support::wait_until_asleep(waiter.pid());
  stage->lane.tell_all();
  CHECK(put(*stage, Deadline::never()) == Passed::Done);
  CHECK(waiter.wait() == 0);
}

}  // namespace wait_test
