// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/changing_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "../support/catch.hpp"

namespace changing_memory_test {

using multiprocessing::shm::ChangingMemory;
using multiprocessing::shm::Lease;
using multiprocessing::shm::Reserved;
using multiprocessing::shm::Shared;
using multiprocessing::shm::UndoLog;

namespace {
constexpr std::uint64_t kSize = std::uint64_t{1} << 20;

struct Memory {
  Lease const for_memory{Reserved{ChangingMemory::limit_for(kSize)}};
  Lease const for_log{Reserved{16 * kSize}};
  Shared<ChangingMemory> const shared =
      Shared<ChangingMemory>::make(0, for_memory.block(), ChangingMemory::limit_for(kSize));
  Shared<UndoLog> const shared_log = Shared<UndoLog>::make(0, for_log.block(), 16 * kSize);
  ChangingMemory& memory = *shared;
  UndoLog& log = *shared_log;

  template <class Change>
  auto change(Change const& by) const {
    while (memory.has_given_back()) {
      log.open(1);
      memory.sort_given_back(log);
      log.close();
    }
    log.open(1);
    by();
    log.close();
  }
  void undone(auto const& change) const {
    log.open(1);
    change();
    log.roll_back(0);
    log.close();
  }
};
}  // namespace

TEST_CASE("pieces do not overlap and are aligned", "[changing_memory]") {
  Memory const it;
  std::mt19937 random(3);
  std::map<std::byte*, std::pair<std::uint64_t, unsigned char>> pieces;
  for (int round = 0; round < 3000; ++round) {
    it.change([&] {
      it.log.make_room(1000);
      if (!pieces.empty() && random() % 2 == 0) {
        auto const piece = std::next(pieces.begin(), static_cast<long>(random() % pieces.size()));
        auto const [size, filling] = piece->second;
        bool is_whole = true;
        for (std::uint64_t n = 0; n < size; ++n) {
          is_whole = is_whole && piece->first[n] == static_cast<std::byte>(filling);
        }
        REQUIRE(is_whole);
        it.memory.give_back(piece->first, size, it.log);
        pieces.erase(piece);
        return;
      }
      auto const size = random() % 300 + 1;
      auto* const piece = static_cast<std::byte*>(it.memory.take(size, it.log));
      REQUIRE(reinterpret_cast<std::uintptr_t>(piece) % ChangingMemory::kAlignment == 0);
      auto const filling = static_cast<unsigned char>(random());
      std::memset(piece, filling, size);
      pieces[piece] = {size, filling};
    });
  }
  // All that was taken at a time, in the worst case, and no leak.
  CHECK(it.memory.frontier() < 3000 * 100);
}

TEST_CASE("what is given back is taken again, but not before the change is over",
          "[changing_memory]") {
  Memory const it;
  void* first = nullptr;
  it.change([&] { first = it.memory.take(100, it.log); });
  it.change([&] {
    it.log.make_room(1000);
    it.memory.give_back(first, 100, it.log);
    CHECK(it.memory.take(100, it.log) != first);
  });
  CHECK(it.memory.has_given_back());
  it.change([&] { CHECK(it.memory.take(97, it.log) == first); });  // of the same class
}

TEST_CASE("a change that is undone has taken nothing and given nothing back", "[changing_memory]") {
  Memory const it;
  void* kept = nullptr;
  void* free = nullptr;
  it.change([&] {
    kept = it.memory.take(100, it.log);
    free = it.memory.take(50, it.log);
    std::memset(kept, 7, 100);
  });
  it.change([&] {
    it.log.make_room(1000);
    it.memory.give_back(free, 50, it.log);
  });
  it.change([] {});  // sorts
  auto const frontier = it.memory.frontier();
  it.undone([&] {
    it.log.make_room(1000);
    CHECK(it.memory.take(50, it.log) == free);
    std::memset(free, 8, 50);
    std::memset(it.memory.take(100, it.log), 9, 100);
    it.memory.give_back(kept, 100, it.log);
  });
  CHECK(it.memory.frontier() == frontier);
  CHECK_FALSE(it.memory.has_given_back());
  CHECK(*static_cast<unsigned char*>(kept) == 7);
  it.change([&] { CHECK(it.memory.take(50, it.log) == free); });
  it.change([&] { CHECK(it.memory.take(50, it.log) != free); });
}

TEST_CASE("the last piece grows where it is, another does not", "[changing_memory]") {
  Memory const it;
  it.change([&] {
    auto* const first = it.memory.take(100, it.log);
    auto* const last = it.memory.take(100, it.log);
    CHECK_FALSE(it.memory.extend(first, 200, it.log));
    CHECK(it.memory.extend(last, 100'000, it.log));
    CHECK_FALSE(it.memory.extend(last, 2 * kSize, it.log));
    auto* const next = static_cast<std::byte*>(it.memory.take(16, it.log));
    CHECK(next >= static_cast<std::byte*>(last) + 100'000);
    CHECK_FALSE(it.memory.extend(last, 200'000, it.log));
  });
}

TEST_CASE("memory that is full throws, and can be emptied at once", "[changing_memory]") {
  Memory const it;
  it.change([&] { CHECK_THROWS_AS(it.memory.take(2 * kSize, it.log), std::bad_alloc); });
  int pieces = 0;
  auto const fill = [&] {
    for (;; ++pieces) it.memory.take(1000, it.log);
  };
  it.change([&] { CHECK_THROWS_AS(fill(), std::bad_alloc); });
  CHECK(pieces > 900);
  it.undone([&] {
    it.memory.reset(it.log);
    CHECK(it.memory.frontier() < 100);
  });
  it.change([&] { CHECK_THROWS_AS(it.memory.take(1000, it.log), std::bad_alloc); });
  it.change([&] { it.memory.reset(it.log); });
  it.change([&] { it.memory.take(kSize, it.log); });  // all of it in one piece
}

}  // namespace changing_memory_test
