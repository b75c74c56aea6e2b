// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/doorbell.hpp>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace doorbell_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
bool is_readable(os::Doorbell const& bell) {
  return os::poll_readable(bell.fd(), Deadline::after(0s));
}
}  // namespace

TEST_CASE("a doorbell is readable once it was rung, until it is silenced", "[os]") {
  os::Doorbell const bell;
  os::Doorbell const other;
  CHECK(bell.number() != other.number());
  CHECK_FALSE(is_readable(bell));
  CHECK(os::Doorbell::ring(bell.number()));
  CHECK(os::Doorbell::ring(bell.number()));
  CHECK(is_readable(bell));
  CHECK_FALSE(is_readable(other));
  bell.silence();
  CHECK_FALSE(is_readable(bell));
}

TEST_CASE("a process that knows the number only rings it", "[os]") {
  os::Doorbell const bell;
  support::RawChild child([number = bell.number()] { return os::Doorbell::ring(number) ? 0 : 1; });
  CHECK(os::poll_readable(bell.fd(), Deadline::never()));
  child.wait();
}

TEST_CASE("ringing what is not there, or too often, does nothing", "[os]") {
  std::uint32_t number = 0;
  {
    os::Doorbell const bell;
    number = bell.number();
    for (int i = 0; i < 10'000; ++i) REQUIRE(os::Doorbell::ring(number));
    CHECK(is_readable(bell));
  }
  auto const before = support::open_fds();
  errno = 7;
  CHECK(os::Doorbell::ring(number));
  CHECK(errno == 7);
  CHECK(support::open_fds() == before);
}

}  // namespace doorbell_test
