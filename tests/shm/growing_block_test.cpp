// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/growing_block.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace growing_block_test {

using multiprocessing::shm::GrowingBlock;
using multiprocessing::shm::Heap;
using multiprocessing::shm::Lease;
using multiprocessing::shm::Reserved;
using multiprocessing::shm::Shared;

namespace {
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::byte content(std::uint64_t place) { return static_cast<std::byte>(place * 7 + place / 4096); }
void fill(GrowingBlock const& block, std::uint64_t from, std::uint64_t to) {
  for (auto place = from; place < to; ++place) block.data()[place] = content(place);
}
bool is_filled(GrowingBlock const& block, std::uint64_t to) {
  for (std::uint64_t place = 0; place < to; ++place) {
    if (block.data()[place] != content(place)) return false;
  }
  return true;
}
}  // namespace

TEST_CASE("a block grows where it is, and keeps what was in it", "[growing_block]") {
  Lease const lease(Reserved{64 * kMiB});
  GrowingBlock block(lease.block(), 64 * kMiB);
  CHECK(block.size() == 0);
  auto* const data = block.data();
  std::uint64_t filled = 0;
  for (std::uint64_t const size : {std::uint64_t{1}, std::uint64_t{5000}, kMiB, 40 * kMiB}) {
    block.grow(size);
    CHECK(block.size() >= size);
    fill(block, filled, size);
    filled = size;
    CHECK(block.data() == data);
    CHECK(is_filled(block, filled));
  }
  block.grow(10);  // has it
  CHECK(block.size() >= 40 * kMiB);
}

TEST_CASE("reserved addresses cost no memory, and shrinking gives it back", "[growing_block]") {
  auto& arena = Heap::instance().arena();
  arena.trim();
  auto const before = arena.memory();
  Lease const lease(Reserved{64 * kMiB});
  CHECK(arena.memory() < before + kMiB);
  GrowingBlock block(lease.block(), 64 * kMiB);
  block.grow(32 * kMiB);
  fill(block, 0, 32 * kMiB);
  CHECK(arena.memory() >= before + 32 * kMiB);
  block.shrink(kMiB);
  CHECK(arena.memory() < before + 3 * kMiB);
  CHECK(is_filled(block, kMiB));
  block.grow(2 * kMiB);
  CHECK(is_filled(block, kMiB));
}

TEST_CASE("a block has no more than its limit", "[growing_block]") {
  Lease const lease(Reserved{kMiB});
  GrowingBlock block(lease.block(), kMiB);
  block.grow(kMiB - 1);
  CHECK(block.size() <= kMiB);
  block.grow(kMiB);
  CHECK(block.size() == kMiB);
  CHECK_THROWS_AS(block.grow(kMiB + 1), std::bad_alloc);
  CHECK(block.size() == kMiB);
}

TEST_CASE("a block that was used before can be less, and more", "[growing_block]") {
  constexpr std::uint64_t kSize = 8 * kMiB;
  for (int round = 0; round < 3; ++round) {
    Lease const lease(Reserved{kSize});
    GrowingBlock block(lease.block(), kSize);
    auto const size = round == 1 ? kMiB : kSize;
    block.grow(size);
    fill(block, 0, size);
    CHECK(is_filled(block, size));
  }
}

TEST_CASE("other processes see what one of them has added", "[growing_block]") {
  Lease const lease(Reserved{kMiB});
  auto const block = Shared<GrowingBlock>::make(0, lease.block(), kMiB);
  support::RawChild child([&] {
    block->grow(kMiB / 2);
    fill(*block, 0, kMiB / 2);
  });
  CHECK(child.exitcode() == 0);
  CHECK(block->size() >= kMiB / 2);
  CHECK(is_filled(*block, kMiB / 2));
}

}  // namespace growing_block_test
