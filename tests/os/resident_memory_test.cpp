// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/resident_memory.hpp>

#include <cstdint>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace resident_memory_test {

namespace os = multiprocessing::os;

TEST_CASE("a process that uses more memory has more", "[resident_memory]") {
  constexpr std::uint64_t kBytes = std::uint64_t{64} << 20;
  auto const before = os::resident_memory(::getpid());
  CHECK(before > 0);
  std::vector<char> const used(kBytes, 'x');
  CHECK(os::resident_memory(::getpid()) >= before + kBytes / 2);
  CHECK(used.back() == 'x');
}

TEST_CASE("a process that is not there has no memory", "[resident_memory]") {
  CHECK(os::resident_memory(1 << 30) == 0);
}

}  // namespace resident_memory_test
