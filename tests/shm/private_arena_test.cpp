// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/private_arena.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <random>
#include <vector>

#include "../support/catch.hpp"

namespace private_arena_test {

using multiprocessing::shm::PrivateArena;
using multiprocessing::shm::Range;
using multiprocessing::shm::Segment;

namespace {
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

std::uint64_t backed_bytes(Segment const& segment) {
  struct stat status;
  REQUIRE(::fstat(segment.fd().get(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

/// Aligned, within the whole, and no two have a byte in common.
bool lie_apart(std::vector<Range> ranges, Range const& whole) {
  std::ranges::sort(ranges, {}, &Range::offset);
  auto begin = whole.offset;
  for (auto const& range : ranges) {
    if (range.offset % 64 != 0 || range.offset < begin) return false;
    begin = range.end();
  }
  return begin <= whole.end();
}
}  // namespace

TEST_CASE("ranges never overlap, and all of the memory comes back", "[private_arena]") {
  Segment const segment("test", 16 * kMegabyte, 16 * kMegabyte);
  Range const whole{4096, 15 * kMegabyte};
  PrivateArena arena(segment, whole, kMegabyte);
  std::mt19937 random(1);  // NOLINT: the same run every time
  std::vector<Range> taken;
  for (int round = 0; round < 2000; ++round) {
    if (random() % 3 != 0) {
      try {
        taken.push_back(arena.allocate(random() % (kMegabyte / 2)));
      } catch (std::bad_alloc const&) {
        REQUIRE(arena.largest() < kMegabyte / 2);
      }
    } else if (!taken.empty()) {
      auto const victim = taken.begin() + static_cast<std::ptrdiff_t>(random() % taken.size());
      arena.release(*victim);
      taken.erase(victim);
    }
    REQUIRE(lie_apart(taken, whole));
  }
  for (auto const& range : taken) arena.release(range);
  CHECK(arena.largest() == whole.size);
}

TEST_CASE("released memory goes back to the system, but for the warm front", "[private_arena]") {
  Segment const segment("test", 64 * kMegabyte, 64 * kMegabyte);
  PrivateArena arena(segment, {4096, 60 * kMegabyte}, kMegabyte);
  auto const big = arena.allocate(40 * kMegabyte);
  CHECK(backed_bytes(segment) >= 40 * kMegabyte);
  arena.release(big);
  CHECK(backed_bytes(segment) <= kMegabyte + 64 * 1024);
}

TEST_CASE("what repeats stays in the same place", "[private_arena]") {
  Segment const segment("test", 16 * kMegabyte, 16 * kMegabyte);
  PrivateArena arena(segment, {4096, 15 * kMegabyte}, kMegabyte);
  auto const first = arena.allocate(1000);
  arena.release(first);
  CHECK(arena.allocate(1000) == first);
}

TEST_CASE("a full arena throws and stays usable", "[private_arena]") {
  Segment const segment("test", 16 * kMegabyte, 16 * kMegabyte);
  PrivateArena arena(segment, {4096, kMegabyte}, kMegabyte);
  CHECK_THROWS_AS(arena.allocate(2 * kMegabyte), std::bad_alloc);
  CHECK(arena.allocate(kMegabyte).size == kMegabyte);
  CHECK_THROWS_AS(arena.allocate(1), std::bad_alloc);
}

}  // namespace private_arena_test
