// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/handoff.hpp>

#include "../support/catch.hpp"

namespace handoff_test {

namespace os = multiprocessing::os;

TEST_CASE("a program that was started by a person has no handoff", "[handoff]") {
  char const* const plain[] = {"program", "--verbose", "3", nullptr};
  CHECK_FALSE(os::has_handoff(3, plain));
  char const* const bare[] = {"program", nullptr};
  CHECK_FALSE(os::has_handoff(1, bare));
  char const* const cut[] = {"program", os::kHandoffFlag, nullptr};
  CHECK_FALSE(os::has_handoff(2, cut));
  char const* const started[] = {"program", os::kHandoffFlag, "3", "Process-1", nullptr};
  CHECK(os::has_handoff(4, started));
  CHECK_FALSE(os::handoff());
}

}  // namespace handoff_test
