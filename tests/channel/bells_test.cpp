// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/bells.hpp>

#include <memory>
#include <system_error>
#include <vector>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace bells_test {

namespace mp = multiprocessing;
using mp::base::Deadline;
using mp::channel::Bells;
using namespace std::chrono_literals;

TEST_CASE("all bells that hang ring", "[channel]") {
  auto const bells = mp::shm::Shared<Bells>::make(0);
  mp::os::Doorbell const first;
  mp::os::Doorbell const second;
  auto const place = bells->hang_up(first.number());
  bells->hang_up(second.number());
  bells->take_down(place);
  CHECK(bells->ring());
  CHECK_FALSE(mp::os::poll_readable(first.fd(), Deadline::after(0s)));
  CHECK(mp::os::poll_readable(second.fd(), Deadline::after(0s)));
}

TEST_CASE("a place of the dead is given to others, one of the living is not", "[channel]") {
  auto const bells = mp::shm::Shared<Bells>::make(0);
  mp::os::Doorbell const bell;
  for (std::size_t i = 1; i < Bells::kMost; ++i) bells->hang_up(bell.number());
  support::RawChild child([&] { bells->hang_up(bell.number()); });
  child.wait();
  bells->hang_up(bell.number());
  CHECK_THROWS_AS(bells->hang_up(bell.number()), std::system_error);
}

}  // namespace bells_test
