// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/converted.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "../support/catch.hpp"

namespace converted_test {

using multiprocessing::serve::converted;

TEST_CASE("an argument becomes what the parameter is a copy of", "[converted]") {
  STATIC_REQUIRE(std::is_same_v<decltype(converted<std::string const&>("text")), std::string>);
  CHECK(converted<std::string const&>("text") == "text");
  CHECK(converted<double>(1) == 1.0);
  auto owner = std::make_unique<int>(5);
  CHECK(*converted<std::unique_ptr<int>>(std::move(owner)) == 5);
}

}  // namespace converted_test
