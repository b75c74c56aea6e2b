// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/clock.hpp>

#include "../support/catch.hpp"

namespace clock_test {

namespace os = multiprocessing::os;

TEST_CASE("time never goes back, and the coarse clock is never ahead", "[clock]") {
  auto last = os::monotonic_time();
  for (int i = 0; i < 1000; ++i) {
    auto const coarse = os::coarse_monotonic_time();
    auto const now = os::monotonic_time();
    CHECK(now >= last);
    CHECK(coarse <= now);
    last = now;
  }
}

TEST_CASE("the coarse clock goes on", "[clock]") {
  auto const begin = os::coarse_monotonic_time();
  while (os::coarse_monotonic_time() == begin) {
  }
  CHECK(os::coarse_monotonic_time() > begin);
}

}  // namespace clock_test
