// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"

namespace poll_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

TEST_CASE("an eventfd is readable from its signal to its drain", "[poll]") {
  auto const event = os::create_eventfd();
  CHECK_FALSE(os::poll_readable(event.get(), Deadline::after(0s)));
  os::signal_eventfd(event);
  os::signal_eventfd(event);
  CHECK(os::poll_readable(event.get(), Deadline::never()));
  os::drain_eventfd(event);
  CHECK_FALSE(os::poll_readable(event.get(), Deadline::after(0s)));
  os::drain_eventfd(event);  // nothing there: returns
}

TEST_CASE("a poll waits until its deadline and not less", "[poll]") {
  auto const event = os::create_eventfd();
  auto const deadline = Deadline::after(20ms);
  CHECK_FALSE(os::poll_readable(event.get(), deadline));
  CHECK(deadline.passed());
}

}  // namespace poll_test
