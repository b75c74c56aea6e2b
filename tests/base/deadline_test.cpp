// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/deadline.hpp>

#include <limits>

#include "../support/catch.hpp"

namespace deadline_test {

using multiprocessing::base::Deadline;
using multiprocessing::base::to_timespec;
using namespace std::chrono_literals;

TEST_CASE("a deadline that never comes has not passed", "[deadline]") {
  CHECK(Deadline::never().is_never());
  CHECK_FALSE(Deadline::never().passed());
}

TEST_CASE("zero and negative timeouts have passed at once", "[deadline]") {
  CHECK(Deadline::after(0s).passed());
  CHECK(Deadline::after(-1h).passed());
  CHECK(Deadline::after(std::chrono::nanoseconds::min()).passed());
  CHECK(Deadline::after(-1h).remaining() == 0s);
  CHECK(Deadline::after(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()))
            .passed());
}

TEST_CASE("timeouts that do not fit the clock are for ever", "[deadline]") {
  CHECK(Deadline::after(std::chrono::hours::max()).is_never());
  CHECK(Deadline::after(std::chrono::nanoseconds::max()).is_never());
  CHECK(Deadline::after(std::chrono::duration<double>(1e300)).is_never());
}

TEST_CASE("a timeout is never cut short by rounding", "[deadline]") {
  auto const before = Deadline::Clock::now();
  auto const deadline = Deadline::after(std::chrono::duration<double, std::nano>(0.5));
  CHECK(deadline.time() > before);
  CHECK_FALSE(Deadline::after(1h).passed());
  CHECK(Deadline::after(1h).remaining() > 59min);
}

TEST_CASE("the earlier of two deadlines wins, and never loses to any", "[deadline]") {
  auto const soon = Deadline::after(1s);
  CHECK(earlier(soon, Deadline::never()).time() == soon.time());
  CHECK(earlier(Deadline::after(1h), soon).time() == soon.time());
}

TEST_CASE("durations become seconds and nanoseconds", "[deadline]") {
  auto const spec = to_timespec(2s + 34ns);
  CHECK(spec.tv_sec == 2);
  CHECK(spec.tv_nsec == 34);
}

}  // namespace deadline_test
