// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/blocks.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

#include "../support/catch.hpp"

namespace blocks_test {

using multiprocessing::shm::ArenaLayout;
using multiprocessing::shm::Block;
using multiprocessing::shm::Blocks;
using multiprocessing::shm::Content;
using multiprocessing::shm::Number;
using multiprocessing::shm::Segment;
using multiprocessing::shm::SizeClass;
namespace os = multiprocessing::os;

namespace {
constexpr std::uint64_t kRoom = std::uint64_t{2} << 30;
constexpr std::uint64_t kLarge = 100'000;

/// What an arena has, without those who hold.
struct Fixture {
  Segment segment{"test", kRoom, kRoom};
  Blocks::Header& header{*make_header(segment)};
  Blocks blocks{segment, header};

  Fixture() { blocks.begin(); }

  Number allocate(std::uint64_t size, Content content = Content::Any) {
    Number const block = blocks.take(SizeClass::of(size), [](Number) {});
    blocks.prepare(block, size, content);
    return block;
  }
  void free(Number block) {
    blocks[block].state = Block::State::Free;
    blocks.put_back(block);
  }
  std::uint64_t memory() const { return os::allocated_size(segment.fd()); }

 private:
  static Blocks::Header* make_header(Segment const& segment) {
    segment.commit({ArenaLayout::kHeader, ArenaLayout::kPage});
    return new (segment.data(ArenaLayout::kHeader)) Blocks::Header;
  }
};
}  // namespace

TEST_CASE("who can not use the block that was found leaves it", "[arena]") {
  Fixture f;
  auto const refuse = [](Number) { throw std::runtime_error("no"); };
  CHECK_THROWS_AS(f.blocks.take(SizeClass::of(kLarge), refuse), std::runtime_error);
  CHECK(f.blocks.count() == 1);
  CHECK_FALSE(f.blocks.is_used(0));
  CHECK(f.allocate(kLarge) == 0);
  f.free(0);
  CHECK_THROWS_AS(f.blocks.take(SizeClass::of(kLarge), refuse), std::runtime_error);
  CHECK(f.header.warm_bytes >= kLarge);
  CHECK(f.allocate(kLarge) == 0);
  CHECK(f.header.warm_bytes == 0);
}

TEST_CASE("a block has as much memory as it was resized to, and what was in it", "[arena]") {
  Fixture f;
  constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
  Number const block = f.blocks.take(SizeClass::of(64 * kMegabyte), [](Number) {});
  auto const before = f.memory();
  f.blocks.resize(block, 1);
  CHECK(f.memory() <= before + kLarge);
  *f.blocks.data(block) = std::byte{7};
  f.blocks.resize(block, 32 * kMegabyte);
  CHECK(f.memory() >= before + 32 * kMegabyte);
  CHECK(*f.blocks.data(block) == std::byte{7});
  f.blocks.data(block)[32 * kMegabyte - 1] = std::byte{8};
  f.blocks.resize(block, kMegabyte);
  CHECK(f.memory() <= before + kMegabyte + kLarge);
  // Who was killed while he did it has left it uncertain.
  f.blocks[block].committed = multiprocessing::shm::Block::kUncertain;
  f.blocks.resize(block, 2 * kMegabyte);
  CHECK(*f.blocks.data(block) == std::byte{7});
  CHECK(f.blocks.data(block)[2 * kMegabyte - 1] == std::byte{0});
  f.free(block);
  f.blocks.discard_warm();
  CHECK(f.memory() <= before + kLarge);
}

TEST_CASE("where there is no room for a new block a larger one is taken", "[arena]") {
  Fixture f;
  auto const take = [&](std::uint64_t size) {
    return f.blocks.take(SizeClass::of(size), [](Number) {});
  };
  std::vector<Number> all;
  auto const take_all = [&] {
    for (;;) all.push_back(take(std::uint64_t{128} << 20));
  };
  CHECK_THROWS_AS(take_all(), std::bad_alloc);
  auto const rest = [&] {
    for (;;) take(std::uint64_t{1} << 20);
  };
  CHECK_THROWS_AS(rest(), std::bad_alloc);
  CHECK(f.blocks.untaken() < (std::uint64_t{2} << 20));
  f.free(all.front());
  CHECK(take(std::uint64_t{1} << 20) == all.front());
  CHECK_THROWS_AS(take(std::uint64_t{1} << 20), std::bad_alloc);
  f.free(all.front());
  CHECK(take(std::uint64_t{128} << 20) == all.front());  // as large as it was
}

TEST_CASE("lists and sums are found again from the blocks alone", "[arena]") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.allocate(kLarge);
  Number const small = f.allocate(100);
  f.allocate(100);
  f.free(1);
  f.free(small);
  auto const small_frontier = f.header.small_frontier;
  auto const large_frontier = f.header.large_frontier;
  auto const warm = f.header.warm_bytes;
  f.header.small_frontier = f.header.large_frontier = 0;
  f.header.cold.fill(7);
  f.header.warm.fill(7);
  f.header.warm_bytes = 7;
  f.blocks.rebuild();
  CHECK(f.header.small_frontier == small_frontier);
  CHECK(f.header.warm_bytes == warm);
  CHECK(f.header.large_frontier == large_frontier);
  CHECK(f.allocate(kLarge) == 1);
  CHECK(f.allocate(kLarge) == 5);
  CHECK(f.allocate(100) == small);
  CHECK(f.allocate(100) == 6);
}

TEST_CASE("what a killed process was giving memory to has none once it is free", "[arena]") {
  Fixture f;
  Number const block = f.allocate(kLarge);
  auto const before = f.memory();
  f.blocks[block].committed = Block::kUncertain;  // as prepare() does in the meantime
  f.blocks[block].state = Block::State::Free;     // as its burial does
  SECTION("freed by its burial") { f.blocks.put_back(block); }
  SECTION("freed by one that was killed as well") { f.blocks.rebuild(); }
  CHECK(f.blocks[block].committed == 0);
  CHECK(f.memory() <= before - kLarge);
  CHECK(f.header.warm_bytes == 0);
  CHECK(f.allocate(kLarge, Content::Zeros) == block);
  CHECK(std::count(f.blocks.data(block), f.blocks.data(block) + kLarge, std::byte{}) == kLarge);
}

TEST_CASE("the number of uses is never zero again", "[arena]") {
  Fixture f;
  Number const block = f.allocate(100);
  f.free(block);
  f.blocks[block].uses = UINT32_MAX;
  CHECK(f.allocate(100) == block);
  CHECK(f.blocks.id(block) != 0);
  CHECK(f.blocks.exists(f.blocks.id(block)));
  CHECK_FALSE(f.blocks.exists(0));
  CHECK_FALSE(f.blocks.exists(UINT64_MAX));
}

}  // namespace blocks_test
