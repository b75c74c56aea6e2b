// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/copy.hpp>

#include <cstddef>
#include <vector>

#include "../support/catch.hpp"

namespace copy_test {

namespace os = multiprocessing::os;

TEST_CASE("what is copied for others is the same, and nothing beside it is touched", "[copy]") {
  os::copy_for_others(nullptr, nullptr, 0);
  for (std::size_t const size : {1U, 17U, 8191U, 8192U, 8193U, 1000003U}) {
    for (std::size_t const offset : {0U, 1U, 63U}) {
      std::vector<unsigned char> from(size + offset);
      for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<unsigned char>(i * 7 + 1);
      std::vector<unsigned char> to(size + 2, 0xee);
      os::copy_for_others(to.data() + 1, from.data() + offset, size);
      REQUIRE(to.front() == 0xee);
      REQUIRE(to.back() == 0xee);
      REQUIRE(std::vector(to.begin() + 1, to.end() - 1) ==
              std::vector(from.begin() + static_cast<std::ptrdiff_t>(offset), from.end()));
    }
  }
}

}  // namespace copy_test
