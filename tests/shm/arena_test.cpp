// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/arena.hpp>

#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

using multiprocessing::shm::Arena;
using multiprocessing::shm::Number;

namespace {
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kRoom = 4096 * kMegabyte;

/// One more participant that this process speaks for. It does not enter: this thread's life lock
/// would have to stay with the thread when the arena goes.
Number join(Arena& arena, Number parent = Arena::kNobody) {
  Number const number = arena.claim(parent);
  arena.participant(number).set_pid(::getpid(), arena.participant(number).generation());
  return number;
}

bool is_all(std::byte const* data, std::uint64_t size, int value) {
  return std::all_of(data, data + size, [=](std::byte each) { return each == std::byte(value); });
}

std::uint64_t page_size() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

std::uint64_t resident_pages(std::byte* data, std::uint64_t size) {
  std::vector<unsigned char> pages(size / page_size());
  REQUIRE(::mincore(data, size, pages.data()) == 0);
  return static_cast<std::uint64_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}
}  // namespace

TEST_CASE("a block is all zeros also where the memory was used before", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  for (std::uint64_t const size : {0U, 1U, 64U, 1000U, 32U << 10, (32U << 10) + 1, 1'000'005U}) {
    Number const block = arena.allocate(me, size);
    REQUIRE(reinterpret_cast<std::uintptr_t>(arena.data(block)) % 64 == 0);
    REQUIRE(is_all(arena.data(block), size, 0));
    std::memset(arena.data(block), 0xff, size);
    arena.release(me, block);
    REQUIRE(arena.allocate(me, size) == block);
    REQUIRE(is_all(arena.data(block), size, 0));
  }
}

TEST_CASE("a block is freed when its last holder lets go and not before", "[arena]") {
  Arena arena("test", kRoom);
  Number const parent = join(arena);
  Number const block = arena.allocate(parent, 100);
  std::memset(arena.data(block), 7, 100);
  Number const child = join(arena, parent);
  Number const grandchild = join(arena, child);
  Number const stranger = join(arena);
  for (Number const number : {stranger, parent, child, parent}) {
    arena.release(number, block);
    arena.bury_the_dead();
    REQUIRE(arena.used_blocks() == 1);
    REQUIRE(arena.allocate(stranger, 100) != block);
    REQUIRE(is_all(arena.data(block), 100, 7));
    arena.release(stranger, block + 1);
  }
  arena.release(grandchild, block);
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("what only the dead held is freed", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const block = arena.allocate(me, 100);
  Number const other = arena.claim(Arena::kNobody);
  Number const place = arena.claim(me);
  auto const generation = arena.participant(place).generation();
  support::Pipe ready;
  support::RawChild member([&] {
    bool const entered = arena.enter(place, arena.participant(place).generation());
    for (int i = 0; entered && i < 100; ++i) arena.allocate(place, 10'000);
    ready.tell();
    for (;;) ::pause();
  });
  ready.hear();
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == 101);
  CHECK_FALSE(arena.is_dead(place, generation));
  member.kill();
  support::wait_for_state(member.pid(), "Z");
  CHECK(arena.is_dead(place, generation));
  CHECK(arena.used_blocks() == 101);
  SECTION("by a burial") {
    arena.bury_the_dead();
    CHECK(arena.used_blocks() == 1);
  }
  SECTION("by the release of another holder") {
    arena.release(me, block);
    CHECK(arena.used_blocks() == 0);
  }
  SECTION("by the next claim") {
    arena.participant(other).set_pid(
        -1, arena.participant(other).generation());  // dead, too, and first in the table
    CHECK(arena.claim(Arena::kNobody) != Arena::kNobody);
    CHECK(arena.used_blocks() == 1);
  }
  CHECK(arena.is_dead(place, generation));
}

TEST_CASE("ten thousand blocks are one segment", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  auto const fds = support::open_fds();
  std::set<std::byte*> blocks;
  for (Number i = 0; i < 10'000; ++i) blocks.insert(arena.data(arena.allocate(me, 100)));
  CHECK(support::open_fds() == fds);
  CHECK(blocks.size() == 10'000);
  CHECK(arena.used_blocks() == 10'000);
  for (Number i = 0; i < 10'000; ++i) arena.release(me, i);
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("a large block gives its memory back when it is freed", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  std::uint64_t const size = 32 * kMegabyte;
  Number const block = arena.allocate(me, size);
  std::memset(arena.data(block), 1, size);
  CHECK(resident_pages(arena.data(block), size) == size / page_size());
  arena.release(me, block);
  CHECK(resident_pages(arena.data(block), size) == 0);
}

TEST_CASE("what the machine does not have is refused without a loss", "[arena]") {
  struct sysinfo machine;
  REQUIRE(::sysinfo(&machine) == 0);
  std::uint64_t const all =
      (std::uint64_t{machine.totalram} + machine.totalswap) * machine.mem_unit;
  Arena arena("test", std::max(kRoom, 8 * all));
  Number const me = join(arena);
  Number const first = arena.allocate(me, 100);
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(arena.allocate(me, 2 * all), std::bad_alloc);
  CHECK_THROWS_AS(arena.allocate(me, 64 * all), std::bad_alloc);  // more than the addresses
  CHECK_THROWS_AS(arena.allocate(me, UINT64_MAX), std::bad_alloc);
  CHECK(arena.used_blocks() == 1);
  CHECK(arena.allocate(me, kMegabyte) == first + 2);  // the three had one number
}

TEST_CASE("entries are found by all and end where the table does", "[arena]") {
  struct Entry {
    std::array<char, 100'000> text{"new"};
  };
  Arena arena("test", kRoom);
  CHECK(arena.add_entry<Entry>() == 0);
  support::RawChild child(
      [&] { std::strcpy(arena.entry<Entry>(arena.add_entry<Entry>()).text.data(), "child's"); });
  CHECK(child.wait() == 0);
  CHECK(arena.entries() == 2);
  CHECK(std::string(arena.entry<Entry>(0).text.data()) == "new");
  CHECK(std::string(arena.entry<Entry>(1).text.data()) == "child's");
  while (arena.entries() < 10) arena.add_entry<Entry>();
  CHECK_THROWS_AS(arena.add_entry<Entry>(), std::bad_alloc);
  CHECK(arena.entries() == 10);
}

TEST_CASE("where a process has no place nothing is freed any more", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const block = arena.allocate(me, 100);
  while (arena.participants() < Arena::kParticipants) arena.claim(Arena::kNobody);
  CHECK(arena.claim(me) == Arena::kNobody);
  arena.release(me, block);
  arena.bury_the_dead();
  arena.release(Arena::kNobody, arena.allocate(Arena::kNobody, 100));
  CHECK(arena.used_blocks() == 2);
}

TEST_CASE("an id names what is in a block now and never again", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  std::set<std::uint64_t> ids{0};
  for (int i = 0; i < 3; ++i) {
    Number const block = arena.allocate(me, 100);
    auto const id = arena.id(block);
    CHECK(ids.insert(id).second);
    CHECK(arena.exists(id));
    arena.release(me, block);
    for (auto const each : ids) CHECK_FALSE(arena.exists(each));
  }
}
