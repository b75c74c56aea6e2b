// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/call.hpp>

#include "../support/catch.hpp"

namespace call_test {

TEST_CASE("a call is told as it was written", "[channel]") {
  constexpr multiprocessing::channel::Call kCall{"Queue", "put"};
  CHECK(kCall.text() == "Queue.put");
}

}  // namespace call_test
