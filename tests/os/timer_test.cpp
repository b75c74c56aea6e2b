// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/timer.hpp>

#include <chrono>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/leftovers.hpp"

namespace timer_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

TEST_CASE("a timer is readable once its time has passed, until it is set again", "[timer]") {
  auto const before = support::open_fds();
  {
    os::Timer const timer;
    CHECK_FALSE(os::poll_readable(timer.fd(), Deadline::after(0s)));
    timer.start(24h);
    CHECK_FALSE(os::poll_readable(timer.fd(), Deadline::after(0s)));
    timer.start(1ns);
    CHECK(os::poll_readable(timer.fd(), Deadline::never()));
    CHECK(os::poll_readable(timer.fd(), Deadline::after(0s)));
    timer.stop();
    CHECK_FALSE(os::poll_readable(timer.fd(), Deadline::after(0s)));
  }
  CHECK(support::open_fds() == before);
}

}  // namespace timer_test
