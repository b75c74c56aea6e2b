// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/random.hpp>

#include <array>
#include <vector>

#include "../support/catch.hpp"

namespace random_test {

namespace os = multiprocessing::os;

TEST_CASE("random bytes fill all of their room, and never come again", "[random]") {
  std::array<std::byte, 32> one{};
  std::array<std::byte, 32> other{};
  os::fill_with_random(one);
  os::fill_with_random(other);
  CHECK(one != other);
  std::vector<std::byte> many(100'000);  // the kernel gives less at once
  os::fill_with_random(many);
  CHECK(std::vector(many.end() - 32, many.end()) != std::vector<std::byte>(32));
  os::fill_with_random({});
}

}  // namespace random_test
