// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/pollable.hpp>

#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace pollable_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
using mp::base::Deadline;
using namespace std::chrono_literals;

TEST_CASE("a descriptor is made when it is asked for, and stays the same", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  auto const nothing = [] { return false; };
  auto const before = support::open_fds();
  channel::Pollable pollable;
  pollable.arm(nothing);
  CHECK(support::open_fds() == before);
  int const fd = pollable.fileno(queue->lane, others, nothing);
  CHECK(pollable.fileno(queue->lane, others, nothing) == fd);
  pollable.close();
  CHECK(support::open_fds() == before);
}

TEST_CASE("a forked child makes a descriptor of its own", "[channel]") {
  auto const queue = channel::QueueState::make({});
  channel::Audience const others(queue.id());
  channel::Pollable pollable;
  auto const nothing = [] { return false; };
  int const fd = pollable.fileno(queue->lane, others, nothing);
  support::RawChild child([&] {
    pollable.fileno(queue->lane, others, [] { return true; });
    bool const is_told =
        mp::os::poll_readable(pollable.fileno(queue->lane, others, nothing), Deadline::after(0s));
    return is_told ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  pollable.arm(nothing);
  CHECK_FALSE(mp::os::poll_readable(fd, Deadline::after(0s)));
}

}  // namespace pollable_test
