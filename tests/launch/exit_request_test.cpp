// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/exit_request.hpp>

#include <exception>
#include <type_traits>

#include "../support/catch.hpp"

namespace exit_request_test {

using multiprocessing::launch::ExitRequest;

TEST_CASE("handlers of a user for std::exception let a wish to exit pass", "[exit_request]") {
  STATIC_REQUIRE(!std::is_base_of_v<std::exception, ExitRequest>);
  auto const run = [] {
    try {
      throw ExitRequest{7};
    } catch (std::exception const&) {
      return ExitRequest{0};
    }
  };
  try {
    run();
    FAIL("nothing was thrown");
  } catch (ExitRequest const& request) {
    CHECK(request.code == 7);
  }
}

}  // namespace exit_request_test
