// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/array.hpp>

#include <algorithm>
#include <list>
#include <numeric>
#include <ranges>
#include <vector>

#include <multiprocessing/os/memory.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"

namespace array_test {

namespace mp = multiprocessing;

static_assert(std::ranges::contiguous_range<mp::Array<int>>);
static_assert(std::ranges::contiguous_range<mp::RawArray<double>>);
static_assert(std::ranges::sized_range<mp::Array<int>>);

TEMPLATE_TEST_CASE("it is made of a size, of elements, or of a range", "[array]", mp::Array<int>,
                   mp::RawArray<int>) {
  TestType const zeros(100);
  CHECK(zeros.size() == 100);
  CHECK(std::ranges::count(zeros, 0) == 100);
  TestType const listed{1, 2, 3};
  CHECK(std::vector<int>(listed.begin(), listed.end()) == std::vector{1, 2, 3});
  TestType const one{100};
  CHECK(one.size() == 1);
  TestType const ranged(std::list<int>{4, 5});
  CHECK(ranged[1] == 5);
  TestType const empty(0);
  CHECK(empty.empty());
  CHECK(empty.begin() == empty.end());
  CHECK_THROWS_AS(empty.at(0), std::out_of_range);
}

TEST_CASE("memory that is used again is all zeros", "[array]") {
  for (std::size_t const size : {10U, 1'000U, 1'000'000U}) {
    for (int round = 0; round < 3; ++round) {
      mp::Array<int> const array(size);
      REQUIRE(std::ranges::count(array, 0) == static_cast<std::ptrdiff_t>(size));
      std::ranges::fill(array, -1);
    }
  }
}

TEMPLATE_TEST_CASE("what a child writes the parent sees", "[array]", mp::Array<double>,
                   mp::RawArray<double>) {
  TestType const array{10.0, 20.0, 30.0};
  mp::Process process(
      [](TestType const& shared) {
        for (double& x : shared) x *= 2;
        shared[0] += 1;
      },
      array);
  process.start();
  process.join();
  CHECK(std::vector<double>(array.begin(), array.end()) == std::vector{21.0, 40.0, 60.0});
}

TEST_CASE("the standard algorithms and spans work on it", "[array]") {
  mp::Array<int> const array{3, 1, 2};
  std::ranges::sort(array);
  CHECK(array[0] == 1);
  std::span<int> const span(array);
  CHECK(span.size() == 3);
  CHECK(std::accumulate(array.begin(), array.end(), 0) == 6);
}

TEST_CASE("an index beyond the end is refused by at", "[array]") {
  mp::Array<int> const array(3);
  array.at(2) = 5;
  CHECK(array.at(2) == 5);
  CHECK_THAT(support::message_of<std::out_of_range>([&] { array.at(3); }),
             ContainsSubstring("Array.at: the index 3 is not below the size 3"));
}

TEST_CASE("sizes that no machine has are exceptions, not signals", "[array]") {
  auto const too_much = 2 * multiprocessing::os::available_memory();
  CHECK_THROWS_AS(mp::Array<char>(too_much), std::bad_alloc);
  CHECK_THROWS_AS(mp::Array<long>(too_much), std::bad_alloc);
  CHECK_THROWS_AS(mp::Array<long>(SIZE_MAX / 8), std::bad_alloc);
  CHECK_THROWS_AS(mp::Array<long>(SIZE_MAX), std::bad_alloc);
  CHECK_THAT(support::message_of<std::invalid_argument>([] { mp::Array<int>(-1); }),
             ContainsSubstring("Array: the size -1 is negative"));
  mp::Array<char> const fits(1000);
  CHECK(fits.size() == 1000);
}

namespace {
void move_often(mp::Array<long> const& array, long rounds) {
  for (long n = 0; n < rounds; ++n) {
    auto const all = array.lock();
    all[0] += 1;
    all[1] -= 1;
  }
}
void count_atomically(mp::RawArray<int> const& array, int rounds) {
  for (int n = 0; n < rounds; ++n) ++array.atomic(static_cast<std::size_t>(n % 8));
}
}  // namespace

TEST_CASE("its lock guards what must not be seen half done", "[array][stress]") {
  mp::Lock const lock;
  for (auto const& array : {mp::Array<long>(2), mp::Array<long>({.lock = lock}, 2)}) {
    long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 5'000);
    std::vector<mp::Process> processes;
    for (int i = 0; i < 4; ++i) {
      processes.emplace_back(move_often, array, rounds).start();
    }
    bool balanced = true;
    for (int i = 0; i < 1000; ++i) {
      auto const all = array.lock();
      balanced = balanced && all[0] + all[1] == 0;
    }
    for (auto& process : processes) process.join();
    CHECK(balanced);
    CHECK(array[0] == 4 * rounds);
    CHECK((*array.lock()).size() == 2);
    CHECK_FALSE(array.lock().recovered());
  }
  CHECK(mp::Array<int>({.lock = lock}, {1, 2}).get_lock() == lock);
  CHECK(mp::Array<int>({.lock = lock}, std::vector{1, 2}).size() == 2);
}

TEST_CASE("elements change atomically without the lock", "[array][stress]") {
  mp::RawArray<int> const array(8);
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 5'000));
  std::vector<mp::Process> processes;
  for (int i = 0; i < 3; ++i) processes.emplace_back(count_atomically, array, rounds).start();
  for (auto& process : processes) process.join();
  CHECK(std::accumulate(array.begin(), array.end(), 0) == 3 * rounds);
}

TEST_CASE("a copy is the same array", "[array]") {
  mp::Array<int> const array{1};
  auto const copy = array;
  copy[0] = 7;
  CHECK(array[0] == 7);
  CHECK(copy == array);
  CHECK(support::parcelled(array) == array);
  CHECK_FALSE(mp::Array<int>{1} == array);
}

}  // namespace array_test
