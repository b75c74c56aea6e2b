// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fork_detector.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace fork_detector_test {

TEST_CASE("a forked copy is told from the process that asked first", "[fork_detector]") {
  multiprocessing::os::ForkDetector const detector;
  CHECK_FALSE(detector.forked());
  support::RawChild child([&] {
    multiprocessing::os::ForkDetector const own;
    bool const is_marked = *own.mark_of_the_first() && !*detector.mark_of_the_first();
    return detector.forked() && !own.forked() && is_marked ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK_FALSE(detector.forked());
}

}  // namespace fork_detector_test
