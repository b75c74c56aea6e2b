// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/lazy_range.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/queue.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/tasks.hpp"

namespace lazy_range_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::kill_self;
using support::kNoEnd;
using support::Made;
using support::numbers;
using support::OnePass;
using support::square;
using support::squares;

namespace {

int odd_fails(int x) { return x % 2 == 1 ? throw std::out_of_range(std::to_string(x)) : x; }

}  // namespace

TEST_CASE("results come one after the other, in order", "[lazy_range]") {
  mp::Pool pool(2);
  CHECK(pool.imap(square, numbers(100)).collect() == squares(100));
  CHECK(pool.imap({.chunksize = 7}, square, numbers(100)).collect() == squares(100));
  CHECK(pool.imap({.chunksize = 1000}, square, numbers(100)).collect() == squares(100));
  CHECK(pool.imap({.buffersize = 1}, square, numbers(20)).collect() == squares(20));
  int next = 0;
  for (int x : pool.imap(square, Made(50))) CHECK(x == square(next++));
  CHECK(next == 50);
  CHECK(pool.imap(square, OnePass<>(10)).collect() == squares(10));
}

TEST_CASE("results come as they are there, each once", "[lazy_range]") {
  mp::Pool pool(2);
  auto results = pool.imap_unordered({.chunksize = 3}, square, numbers(1000)).collect();
  std::sort(results.begin(), results.end());
  CHECK(results == squares(1000));

  mp::Event last;
  auto const wait_if_first = [](std::pair<int, mp::Event> const& item) {
    if (item.first == 0) item.second.wait();
    return item.first;
  };
  std::vector<std::pair<int, mp::Event>> items;
  for (int i = 0; i < 4; ++i) items.emplace_back(i, last);
  auto range = pool.imap_unordered(wait_if_first, items);
  CHECK(range.next() == 1);
  CHECK(range.next() == 2);
  CHECK(range.next() == 3);
  last.set();
  CHECK(range.next() == 0);
  CHECK(range.next() == std::nullopt);
  CHECK(range.next() == std::nullopt);
}

TEST_CASE("of nothing there are no results", "[lazy_range]") {
  mp::Pool pool(1);
  CHECK(pool.imap(square, std::vector<int>()).collect().empty());
  CHECK(pool.imap_unordered({.chunksize = 5}, square, std::vector<int>()).next() == std::nullopt);
}

TEST_CASE("items are taken only as results are", "[lazy_range]") {
  mp::Pool pool(2);
  int taken = 0;
  auto const count = [&taken](int x) {
    ++taken;
    return x;
  };
  auto endless = Made(kNoEnd, count);
  auto range = pool.imap({.buffersize = 3}, square, endless);
  CHECK(taken == 3);
  for (int i = 0; i < 10; ++i) {
    CHECK(range.next() == square(i));
    CHECK(taken <= 3 + i + 1);
  }
}

#if !defined(__clang__) || __clang_major__ >= 16  // older ones know no std::views of libstdc++
TEST_CASE("items are pulled through views", "[lazy_range]") {
  mp::Pool pool(2);
  auto const even = [](int x) { return x % 2 == 0; };
  auto range = pool.imap(square, std::views::iota(0) | std::views::filter(even));
  for (int i = 0; i < 100; i += 2) CHECK(range.next() == square(i));
}
#endif

TEST_CASE("a range that was handed over lives as long as its results", "[lazy_range]") {
  mp::Pool pool(2);
  auto const make = [&] {
    Made const view(20);
    return std::pair(pool.imap({.buffersize = 1}, square, numbers(20)),
                     pool.imap({.buffersize = 1}, square, view));
  };
  auto [owned, viewed] = make();
  CHECK(owned.collect() == squares(20));
  CHECK(viewed.collect() == squares(20));
}

TEST_CASE("items that a range only refers to stay where they are", "[lazy_range]") {
  struct Reference {
    std::vector<std::string>* items;
    auto begin() const { return items->begin(); }
    auto end() const { return items->end(); }
  };
  mp::Pool pool(2);
  std::vector<std::string> words{std::string(100, 'a'), std::string(200, 'b')};
  auto const before = words;
  auto const length = [](std::string const& word) { return word.size(); };
  std::vector<std::size_t> const lengths{100, 200};
  CHECK(pool.imap(length, Reference{&words}).collect() == lengths);
  CHECK(pool.map_async(length, Reference{&words}).get() == lengths);
  CHECK(words == before);
  CHECK(pool.imap(length, std::move(words)).collect() == lengths);
}

TEST_CASE("a result that is late may be asked for again", "[lazy_range]") {
  mp::Pool pool(1);
  mp::Event go;
  auto const wait = [](mp::Event event) {
    event.wait();
    return 5;
  };
  auto range = pool.imap(wait, std::vector{go});
  CHECK_THROWS_AS(range.next(1ms), mp::TimeoutError);
  go.set();
  CHECK(range.next(1h) == 5);
}

TEST_CASE("an item that fails is told at its place, and the rest goes on", "[lazy_range]") {
  mp::Pool pool(2);
  auto range = pool.imap(odd_fails, numbers(4));
  CHECK(range.next() == 0);
  CHECK(support::message_of<std::out_of_range>([&] { range.next(); }) == "1");
  CHECK(range.next() == 2);
  CHECK_THROWS_AS(range.next(), std::out_of_range);
  CHECK(range.next() == std::nullopt);

  auto deaths = pool.imap([](int x) { return x == 1 ? kill_self(x) : x; }, numbers(3));
  CHECK(deaths.next() == 0);
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { deaths.next(); }),
             ContainsSubstring("Pool.imap, from item 1 on"));
  CHECK(deaths.next() == 2);
}

TEST_CASE("what the range throws is told behind the results of the items before", "[lazy_range]") {
  mp::Pool pool(2);
  auto range = pool.imap(square, OnePass<std::range_error>(10, 4));
  for (int i = 0; i < 4; ++i) CHECK(range.next() == square(i));
  CHECK_THROWS_AS(range.next(), std::range_error);
  CHECK(range.next() == std::nullopt);
  CHECK_THROWS_AS(pool.imap_unordered(square, OnePass<std::range_error>(3, 1)).collect(),
                  std::range_error);
  CHECK(pool.map(square, numbers(10)) == squares(10));
}

TEST_CASE("a range that is dropped gives up what no worker has begun", "[lazy_range]") {
  mp::Pool pool(1);
  mp::Event go;
  mp::Queue<int> begun;
  auto const wait = [](std::pair<mp::Event, mp::Queue<int>> item) {
    item.second.put(1);
    item.first.wait();
  };
  {
    auto const range =
        pool.imap({.buffersize = 10}, wait,
                  std::vector<std::pair<mp::Event, mp::Queue<int>>>(10, {go, begun}));
    begun.get();
  }
  go.set();
  pool.apply([] {});
  CHECK(begun.qsize() == 0);
}

TEST_CASE("after close what was submitted is told, then that there is no more", "[lazy_range]") {
  mp::Pool pool(1);
  auto range = pool.imap({.buffersize = 5}, square, numbers(20));
  pool.close();
  for (int i = 0; i < 5; ++i) CHECK(range.next() == square(i));
  CHECK_THROWS_AS(range.next(), std::invalid_argument);
  CHECK(range.next() == std::nullopt);
}

TEST_CASE("after terminate nobody waits for the next result", "[lazy_range]") {
  mp::Pool pool(1);
  mp::Event never;
  auto range = pool.imap([](mp::Event event) { event.wait(); }, std::vector(3, never));
  auto other = pool.imap_unordered([](mp::Event event) { event.wait(); }, std::vector(3, never));
  pool.terminate();
  CHECK_THROWS_AS(range.next(), mp::CancelledError);
  CHECK_THROWS_AS(other.next(), mp::CancelledError);
}

TEST_CASE("results may be of any type that is sent", "[lazy_range]") {
  mp::Pool pool(2);
  auto owned = pool.imap([](int x) { return std::make_unique<int>(x); }, std::vector{5});
  static_assert(std::ranges::input_range<decltype(owned)>);
  CHECK(**owned.next() == 5);
  auto range =
      pool.imap([](std::string const& s) { return s + s; }, std::vector<std::string>{"a", "b"});
  CHECK(range.collect() == std::vector<std::string>{"aa", "bb"});
  auto truths = pool.imap(
      {.chunksize = 2}, [](bool b) { return !b; }, std::vector{true, false});
  CHECK(truths.collect() == std::vector{false, true});
  std::size_t nothings = 0;
  for (auto const& nothing : pool.imap(
           {.chunksize = 2}, [](int) {}, numbers(5))) {
    static_cast<void>(nothing);
    ++nothings;
  }
  CHECK(nothings == 5);
}

TEST_CASE("sizes that make no sense are refused", "[lazy_range]") {
  mp::Pool pool(1);
  CHECK_THAT(support::message_of<std::invalid_argument>(
                 [&] { static_cast<void>(pool.imap({.chunksize = 0}, square, numbers(1))); }),
             ContainsSubstring("Pool.imap: chunksize must be at least 1, not 0"));
  CHECK_THAT(support::message_of<std::invalid_argument>([&] {
               static_cast<void>(pool.imap_unordered({.buffersize = -1}, square, numbers(1)));
             }),
             ContainsSubstring("Pool.imap_unordered: buffersize must be at least 1, not -1"));
  pool.close();
  CHECK_THROWS_AS(static_cast<void>(pool.imap(square, numbers(1))), std::invalid_argument);
}

}  // namespace lazy_range_test
