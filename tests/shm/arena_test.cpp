// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/arena.hpp>

#include <sys/sysinfo.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace arena_test {

using multiprocessing::shm::Arena;
using multiprocessing::shm::Content;
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

TEST_CASE("a very large block gives its memory back when it is freed", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  std::uint64_t const size = 209 * kMegabyte;
  auto const before = arena.memory();
  Number const block = arena.allocate(me, size);
  CHECK(arena.memory() >= before + size);
  arena.release(me, block);
  CHECK(arena.memory() < before + kMegabyte);
}

TEST_CASE("large blocks that are freed keep their memory up to a limit", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  std::vector<Number> blocks;
  for (std::uint64_t total = 0, size = 40'000; total < 1024 * kMegabyte; total += size) {
    if (blocks.size() % 8 == 7) size = size % (104 * kMegabyte) * 2;
    blocks.push_back(
        arena.allocate(me, size, blocks.size() % 2 == 0 ? Content::Any : Content::Zeros));
    if (blocks.size() < 16) continue;
    for (Number const block : blocks) arena.release(me, block);
    blocks.clear();
  }
  for (Number const block : blocks) arena.release(me, block);
  CHECK(arena.used_blocks() == 0);
  CHECK(arena.memory() <= (208 + 2) * kMegabyte);
  CHECK(arena.memory() >= 104 * kMegabyte);
  SECTION("until they are told to give it back") { arena.trim(); }
  SECTION("until there is no more") { CHECK_THROWS_AS(arena.allocate(me, kRoom), std::bad_alloc); }
  CHECK(arena.memory() < 2 * kMegabyte);
}

TEST_CASE("the sizes that are used now are the warm ones", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  for (std::uint64_t const size : {100'000U, 50U << 20, 1'000'000U, 50U << 20, 100'000U}) {
    std::vector<Number> blocks;
    auto const take = [&] { blocks.push_back(arena.allocate(me, size, Content::Any)); };
    while (blocks.size() * size < 160 * kMegabyte) take();
    for (Number const block : blocks) arena.release(me, block);
    CHECK(arena.memory() <= (208 + 2) * kMegabyte);
    auto const memory = arena.memory();
    auto const count = std::exchange(blocks, {}).size();
    while (blocks.size() < count) take();
    CHECK(arena.memory() == memory);
    for (Number const block : blocks) arena.release(me, block);
  }
}

TEST_CASE("a warm block that is taken as it is has its memory, and grows", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const block = arena.allocate(me, 900'000, Content::Any);
  std::memset(arena.data(block), 7, 900'000);
  auto const before = arena.memory();
  arena.release(me, block);
  CHECK(arena.allocate(me, 910'000, Content::Any) == block);
  CHECK(is_all(arena.data(block), 900'000, 7));
  CHECK(arena.memory() >= before + 10'000 - 4096);
  arena.release(me, block);
  CHECK(arena.allocate(me, 913'000, Content::Zeros) == block);
  CHECK(is_all(arena.data(block), 913'000, 0));
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
  while (arena.entries() < 20) arena.add_entry<Entry>();
  CHECK_THROWS_AS(arena.add_entry<Entry>(), std::bad_alloc);
  CHECK(arena.entries() == 20);
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

TEST_CASE("a block lives as long as the one that it was given to", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const other = join(arena);
  Number const owner = arena.allocate(me, 100);
  Number const block = arena.allocate(me, 100'000);
  CHECK(arena.owner_of(block) == 0);
  arena.give(block, arena.id(owner));
  arena.release(me, block);
  arena.bury_the_dead();
  CHECK(arena.owner_of(block) == arena.id(owner));
  CHECK(arena.used_blocks() == 2);
  SECTION("it is freed with it") {
    arena.release(me, owner);
    CHECK(arena.used_blocks() == 0);
  }
  SECTION("it is freed with it, and what belongs to it as well") {
    Number const inner = arena.allocate(me, 100);
    arena.give(inner, arena.id(block));
    arena.release(me, inner);
    CHECK(arena.used_blocks() == 3);
    arena.release(me, owner);
    CHECK(arena.used_blocks() == 0);
  }
  SECTION("who holds it keeps it") {
    arena.hold(other, block);
    arena.release(me, owner);
    CHECK(arena.used_blocks() == 1);
    CHECK(arena.owner_of(block) == 0);
    CHECK(arena.allocate(me, 100) == owner);  // another one does not own it
    arena.release(me, owner);
    CHECK(arena.used_blocks() == 1);
    arena.release(other, block);
  }
  SECTION("who adopts it keeps it alone") {
    arena.adopt(other, block);
    CHECK(arena.owner_of(block) == 0);
    arena.bury_the_dead();
    CHECK(arena.used_blocks() == 2);
    arena.release(other, block);
    CHECK(arena.used_blocks() == 1);
    arena.release(me, owner);
  }
  SECTION("when it belongs to nobody any more it is freed") {
    arena.disown(block);
    CHECK(arena.used_blocks() == 1);
    arena.release(me, owner);
  }
  SECTION("it can be given to another") {
    Number const second = arena.allocate(me, 100);
    arena.hold(me, block);
    arena.give(block, arena.id(second));
    arena.release(me, block);
    arena.release(me, owner);
    CHECK(arena.used_blocks() == 2);
    arena.release(me, second);
  }
  SECTION("what has gone can own nothing") {
    arena.hold(me, block);
    arena.disown(block);
    auto const id = arena.id(owner);
    arena.release(me, owner);
    arena.give(block, id);
    CHECK(arena.owner_of(block) == 0);
    arena.release(me, block);
  }
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("what a message refers to lives as long as the message", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const queue = arena.allocate(me, 100);
  Number const lock = arena.allocate(me, 100);
  std::array<Number, 3> const targets{lock, arena.allocate(me, 100'000), lock};
  auto const send = [&](std::span<Number const> references) {
    auto const room = Arena::references_size(references.size());
    CHECK(room % 64 == 0);
    CHECK(room >= 4 * (1 + references.size()));
    Number const envelope = arena.allocate(me, room + 1000, Content::Any);
    arena.refer(envelope, references);
    auto const written = arena.references_of(envelope);
    CHECK(std::equal(written.begin(), written.end(), references.begin(), references.end()));
    arena.give(envelope, arena.id(queue));
    arena.release(me, envelope);
    return envelope;
  };
  Number const first = send(targets);
  Number const second = send(std::span(targets).first(1));
  CHECK(arena.references_of(lock).empty());
  for (int i = 0; i < 2; ++i) arena.release(me, targets[static_cast<unsigned>(i)]);
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == 5);
  CHECK(arena.is_referenced(lock));
  CHECK_FALSE(arena.is_referenced(first));
  SECTION("and is freed with it") {
    arena.disown(first);
    CHECK(arena.used_blocks() == 3);
    arena.disown(second);
    CHECK(arena.used_blocks() == 1);
  }
  SECTION("and is freed with what the message is in") {
    arena.release(me, queue);
    CHECK(arena.used_blocks() == 0);
    return;
  }
  SECTION("unless somebody has taken hold of it") {
    arena.adopt(me, first);
    for (Number const target : arena.references_of(first)) arena.hold(me, target);
    arena.release(me, first);
    arena.disown(second);
    CHECK(arena.used_blocks() == 3);
    CHECK_FALSE(arena.is_referenced(lock));
    for (Number const target : targets) arena.release(me, target);
    CHECK(arena.used_blocks() == 1);
  }
  SECTION("also a message in a message") {
    arena.hold(me, first);
    arena.hold(me, second);
    Number const outer = send(std::array{first, second});
    arena.disown(first);
    arena.disown(second);
    arena.release(me, first);
    arena.release(me, second);
    CHECK(arena.used_blocks() == 6);
    arena.disown(outer);
    CHECK(arena.used_blocks() == 1);
  }
  arena.release(me, queue);
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("ten thousand blocks that keep each other in a chain are freed at once", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const first = arena.allocate(me, 100);
  for (Number last = first, i = 0; i < 10'000; ++i) {
    Number const next = arena.allocate(me, 100);
    arena.refer(next, std::array{last});
    if (last != first) arena.release(me, last);
    last = next;
    if (i == 9'999) {
      arena.release(me, first);
      CHECK(arena.used_blocks() == 10'001);
      arena.release(me, last);
    }
  }
  CHECK(arena.used_blocks() == 0);
}

TEST_CASE("what the dead have sent and nobody can receive is freed with them", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const mine = arena.allocate(me, 100);
  std::array<Number, 2> const dead{arena.claim(me), arena.claim(me)};
  Number const target = arena.allocate(dead[0], 100);  // in front of what refers to it
  Number const queue = arena.allocate(dead[0], 100);
  Number const envelope = arena.allocate(dead[1], 100);
  arena.hold(dead[1], target);
  arena.refer(envelope, std::array{target, mine});
  arena.give(envelope, arena.id(queue));
  arena.participant(dead[0]).set_pid(-1, arena.participant(dead[0]).generation());
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == 3);  // the other still has the message
  CHECK(arena.is_referenced(mine));
  arena.participant(dead[1]).set_pid(-1, arena.participant(dead[1]).generation());
  arena.bury_the_dead();
  CHECK(arena.used_blocks() == 1);
  CHECK_FALSE(arena.is_referenced(mine));
}

TEST_CASE("holders can be asked for", "[arena]") {
  Arena arena("test", kRoom);
  Number const me = join(arena);
  Number const block = arena.allocate(me, 100);
  Number const child = join(arena, me);
  Number const dead = arena.claim(me);
  Number const stranger = join(arena);
  arena.participant(dead).set_pid(-1, arena.participant(dead).generation());
  auto const holders = [&] {
    std::set<Number> numbers;
    arena.for_each_holder(block, [&](Number number) { numbers.insert(number); });
    return numbers;
  };
  CHECK(holders() == std::set{me, child});
  CHECK(arena.holds(me, block));
  CHECK_FALSE(arena.holds(stranger, block));
  arena.hold(stranger, block);
  arena.hold(stranger, block);  // it has it already
  arena.release(me, block);
  CHECK(holders() == std::set{child, stranger});
  CHECK_FALSE(arena.holds(me, block));
}

}  // namespace arena_test
