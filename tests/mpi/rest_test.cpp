// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/rest.hpp>

#include <chrono>

#include "../support/catch.hpp"

namespace rest_test {

using multiprocessing::mpi::Rest;
using namespace std::chrono_literals;

TEST_CASE("who waits looks often at first, then ever more seldom, up to a bound", "[mpi]") {
  Rest rest;
  Rest::Clock::time_point now{1h};
  rest.reset(now);
  CHECK(rest.next(now) == 0s);
  auto before = 0ns;
  for (int look = 0; look < 10'000; ++look) {
    auto const sleep = rest.next(now);
    CHECK((sleep == 0s || sleep >= before));
    if (now.time_since_epoch() < 1h + 100ms) CHECK(sleep <= 1ms);
    before = sleep;
    now += sleep;
  }
  CHECK(before == 50ms);
  CHECK(rest.is_long(now));
  rest.reset(now);
  CHECK_FALSE(rest.is_long(now));
  CHECK(rest.next(now) == 0s);
}

}  // namespace rest_test
