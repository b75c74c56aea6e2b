// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/memory_limit.hpp>

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace memory_limit_test {

using multiprocessing::os::MemoryLimit;

namespace {

constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

/// Whether the system gives so much private memory now.
bool is_there(std::uint64_t bytes, int sharing = MAP_PRIVATE) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::munmap(memory, bytes);
  return true;
}
rlim_t soft_limit() {
  rlimit limits{};
  ::getrlimit(RLIMIT_DATA, &limits);
  return limits.rlim_cur;
}

}  // namespace

TEST_CASE("what a process may allocate is limited as long as the limit lives", "[memory_limit]") {
  REQUIRE(is_there(256 * kMegabyte));
  {
    MemoryLimit const limit(64 * kMegabyte);
    CHECK(is_there(32 * kMegabyte));
    CHECK_FALSE(is_there(128 * kMegabyte));
  }
  CHECK(is_there(256 * kMegabyte));
}

TEST_CASE("what a process has does not count", "[memory_limit]") {
  constexpr auto kMuch = 256 * kMegabyte;
  void* const memory =
      ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  {
    MemoryLimit const limit(64 * kMegabyte);
    CHECK(is_there(32 * kMegabyte));
    CHECK_FALSE(is_there(128 * kMegabyte));
  }
  ::munmap(memory, kMuch);
}

TEST_CASE("memory that is shared does not count", "[memory_limit]") {
  MemoryLimit const limit(16 * kMegabyte);
  CHECK(is_there(64 * kMegabyte, MAP_SHARED));
}

TEST_CASE("the limit from before comes back", "[memory_limit]") {
  auto const before = soft_limit();
  {
    MemoryLimit const outer(64 * kMegabyte);
    auto const between = soft_limit();
    CHECK(between < before);
    {
      MemoryLimit const larger(128 * kMegabyte);  // gives nothing back
      CHECK(soft_limit() == between);
      MemoryLimit const smaller(kMegabyte);
      CHECK(soft_limit() < between);
    }
    CHECK(soft_limit() == between);
  }
  CHECK(soft_limit() == before);
}

TEST_CASE("a limit beyond all memory is none", "[memory_limit]") {
  auto const before = soft_limit();
  MemoryLimit const limit(UINT64_MAX);
  CHECK(soft_limit() == before);
}

}  // namespace memory_limit_test
