// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/readiness.hpp>

#include <csignal>

#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace readiness_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
using mp::base::Deadline;
using namespace std::chrono_literals;

namespace {

void put(channel::Lane& lane) {
  REQUIRE(lane.put(
              mp::sync::this_thread_seated(), {}, 0, [](std::byte*) {}, Deadline::never()) ==
          channel::Lane::Outcome::Done);
}
bool is_readable(channel::Readiness const& readiness) {
  return mp::os::poll_readable(readiness.fd(), Deadline::after(0s));
}

}  // namespace

TEST_CASE("it is told once, of the first message since it was armed", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  channel::Readiness readiness(queue->lane, others);
  auto const is_ready = [&] { return queue->lane.count() > 0; };
  put(queue->lane);
  CHECK_FALSE(is_readable(readiness));  // it was not armed
  readiness.arm(is_ready);
  CHECK(is_readable(readiness));  // there is one already
  readiness.arm([] { return false; });
  CHECK_FALSE(is_readable(readiness));
  put(queue->lane);
  CHECK(is_readable(readiness));
}

TEST_CASE("it is told when one of the others is killed", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  support::Pipe born;
  support::RawChild other([&] {
    born.tell();
    ::pause();
  });
  born.hear();
  channel::Readiness readiness(queue->lane, others);
  readiness.arm([] { return false; });
  CHECK_FALSE(is_readable(readiness));
  other.kill();
  CHECK(mp::os::poll_readable(readiness.fd(), Deadline::never()));
  other.wait();
  readiness.arm([] { return false; });
  CHECK_FALSE(is_readable(readiness));  // the dead are forgotten
}

TEST_CASE("who has the place of the dead is watched, too", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  channel::Readiness readiness(queue->lane, others);
  support::Pipe born;
  for (int i = 0; i < 3; ++i) {
    support::RawChild other([&] {
      born.tell();
      ::pause();
    });
    born.hear();
    readiness.arm([] { return false; });
    CHECK_FALSE(is_readable(readiness));
    other.kill();
    CHECK(mp::os::poll_readable(readiness.fd(), Deadline::never()));
    other.wait();  // it is still watched when the next one gets its place
  }
}

TEST_CASE("where a message is on its way with what is held, it is looked at again", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  channel::Readiness readiness(queue->lane, others);
  mp::shm::Lease const envelope(mp::shm::Arena::references_size(1));
  mp::shm::Number const target = queue.lease()->block();
  mp::shm::Heap::instance().arena().refer(envelope.block(), {&target, 1});
  readiness.arm([] { return false; });
  CHECK(mp::os::poll_readable(readiness.fd(), Deadline::never()));
}

}  // namespace readiness_test
