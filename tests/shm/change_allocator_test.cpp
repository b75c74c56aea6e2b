// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/change_allocator.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/containers/vector.hpp>

#include "../support/catch.hpp"
#include "../support/changing.hpp"

namespace change_allocator_test {

using multiprocessing::shm::CurrentChange;
using multiprocessing::shm::NodeAllocator;
using multiprocessing::shm::PieceAllocator;

namespace {
using Map =
    boost::interprocess::map<int, int, std::less<int>, NodeAllocator<std::pair<int const, int>>>;
using Vector = boost::interprocess::vector<int, PieceAllocator<int>>;
using String =
    boost::interprocess::basic_string<char, std::char_traits<char>, PieceAllocator<char>>;
}  // namespace

TEST_CASE("a vector of Boost grows where it is", "[change_allocator]") {
  support::Changing const it;
  it.run([] {
    Vector vector;
    vector.push_back(0);
    auto const* const begin = vector.data();
    for (int i = 1; i < 10'000; ++i) vector.push_back(i);
    CHECK(vector.data() == begin);
    CHECK(vector[9999] == 9999);
    Vector other(5, 1);  // behind it
    vector.reserve(100'000);
    CHECK(vector.data() != begin);
    CHECK(vector[9999] == 9999);
    CHECK(other[4] == 1);
  });
}

TEST_CASE("a text of Boost grows until its memory is full, and keeps what it has",
          "[change_allocator]") {
  support::Changing const it;
  it.run([] {
    String text;
    auto const fill = [&] {
      for (;;) text.append("some characters more");
    };
    CHECK_THROWS_AS(fill(), std::bad_alloc);
    CHECK(text.size() > support::Changing::kSize * 9 / 10);
    CHECK(text.compare(0, 24, "some characters moresome") == 0);
  });
}

TEST_CASE("too many elements are no memory, not less memory", "[change_allocator]") {
  support::Changing const it;
  it.run([] {
    CHECK_THROWS_AS(PieceAllocator<int>().allocate(SIZE_MAX / 2), std::bad_alloc);
    CHECK_THROWS_AS(NodeAllocator<int>().allocate(SIZE_MAX / 2), std::bad_alloc);
    std::size_t received = SIZE_MAX / 2;
    PieceAllocator<int>::pointer reuse = nullptr;
    CHECK_THROWS_AS(PieceAllocator<int>().allocation_command(boost::interprocess::allocate_new,
                                                             SIZE_MAX / 2, received, reuse),
                    std::bad_alloc);
  });
}

TEST_CASE("a map of Boost is put back with all that it was", "[change_allocator]") {
  support::Changing const it;
  Map* map = nullptr;
  it.run([&] {
    map = new (CurrentChange::of_this_thread().take(sizeof(Map))) Map;
    for (int i = 0; i < 200; ++i) map->emplace(i * 37 % 200, i);
  });
  it.run_and_undo([&] {
    it.log().save(map, sizeof *map);
    for (int i = 0; i < 200; i += 2) map->erase(i);
    for (int i = 200; i < 300; ++i) map->emplace(i, i);
  });
  CHECK(map->size() == 200);
  int next = 0;
  for (auto const& [key, value] : *map) {
    REQUIRE(key == next);
    REQUIRE(value * 37 % 200 == key);
    ++next;
  }
  CHECK(next == 200);
}

}  // namespace change_allocator_test
