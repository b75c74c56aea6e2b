// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/refusal.hpp>

#include <string>
#include <vector>

#include "../support/catch.hpp"

namespace refusal_test {

// The sentences are tested by compile/*.cpp.
TEST_CASE("what can be sent is not refused", "[refusal]") {
  struct Point {
    int x;
    std::string text;
  };
  constexpr bool compiles = [] {
    multiprocessing::wire::require_picklable<int>();
    multiprocessing::wire::require_picklable<std::vector<std::string>>();
    multiprocessing::wire::require_picklable<Point>();
    multiprocessing::wire::require_picklable<int (*)(int)>();
    return true;
  }();
  STATIC_REQUIRE(compiles);
  STATIC_REQUIRE_FALSE(multiprocessing::wire::kCanBeSent<int*>);
}

}  // namespace refusal_test
