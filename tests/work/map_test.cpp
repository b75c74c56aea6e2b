// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/map.hpp>

#include <deque>
#include <list>
#include <memory>
#include <string>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace map_test {

using namespace multiprocessing::work;

namespace {

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(Point const&) const = default;
};
class NoDefault {
 public:
  constexpr explicit NoDefault(int v) : value(v) {}
  bool operator==(NoDefault const&) const = default;
  int value;
};

/// One crew for all that follows.
class CrewFixture {
 public:
  CrewFixture() : crew_({.workers = 2}) {}
  ~CrewFixture() {
    crew_.close("test");
    crew_.join("test");
  }

  template <class F, class Items>
  auto run(F const& f, Items&& items, std::optional<std::int64_t> chunksize = {}) {
    return map(crew_, "Pool.map", chunksize, f, std::forward<Items>(items));
  }

 private:
  Crew crew_;
};

}  // namespace

TEST_CASE_METHOD(CrewFixture, "results come in the order of the items, however they are cut",
                 "[map]") {
  for (int const n : {1, 2, 7, 100}) {
    for (std::int64_t const chunksize : {1, 3, 6, 40, 50, 1000}) {
      CHECK(run(&support::square, support::numbers(n), chunksize) == support::squares(n));
    }
    CHECK(run(&support::square, support::numbers(n)) == support::squares(n));
  }
}

TEST_CASE_METHOD(CrewFixture, "no items, no results, no work", "[map]") {
  CHECK(run(&support::square, std::vector<int>{}).empty());
  CHECK(run(&support::square, std::vector<int>{}, 5).empty());
  CHECK(run(&support::greet, std::vector<std::string>{}).empty());
  CHECK(run(&support::square, support::OnePass<>(0)).empty());
}

TEST_CASE_METHOD(CrewFixture, "any input range will do", "[map]") {
  auto const expected = support::squares(5);
  CHECK(run(&support::square, std::list<int>{0, 1, 2, 3, 4}) == expected);
  CHECK(run(&support::square, std::deque<int>{0, 1, 2, 3, 4}) == expected);
  int const array[] = {0, 1, 2, 3, 4};
  CHECK(run(&support::square, array) == expected);
  CHECK(run(&support::square, std::initializer_list<int>{0, 1, 2, 3, 4}) == expected);
  CHECK(run(&support::square, support::OnePass<>(5)) == expected);
  CHECK(run([](bool b) { return !b; }, std::vector<bool>{true, false, true}) ==
        std::vector<bool>{false, true, false});
}

TEST_CASE_METHOD(CrewFixture, "items and results of every kind that the wire carries", "[map]") {
  using Strings = std::vector<std::string>;
  CHECK(run(&support::greet, Strings{"a", "", "b"}, 2) == Strings{"hello a", "hello ", "hello b"});
  CHECK(run(
            [](Point p) {
              return Point{p.y, p.x};
            },
            std::vector<Point>{{1, 2}, {3, 4}}) == std::vector<Point>{{2, 1}, {4, 3}});
  CHECK(run([](NoDefault n) { return NoDefault(n.value + 1); }, std::vector{NoDefault(1)}) ==
        std::vector{NoDefault(2)});
  CHECK(run([](std::vector<Strings> const& v) { return v.size(); },
            std::vector<std::vector<Strings>>{{}, {{"a"}}}) == std::vector<std::size_t>{0, 1});
  CHECK(run([](int n) { return std::vector<int>(static_cast<std::size_t>(n), n); },
            std::vector{0, 2, 1}) == std::vector<std::vector<int>>{{}, {2, 2}, {1}});
  CHECK(run([](int n) { return n % 2 == 0; }, std::vector{0, 1}) == std::vector<bool>{true, false});
  run([](int) {}, support::numbers(10));
  STATIC_REQUIRE(std::is_void_v<decltype(run([](int) {}, support::numbers(10)))>);
}

TEST_CASE_METHOD(CrewFixture, "results larger than what is committed at a time", "[map]") {
  auto const results =
      run([](int n) { return std::string(static_cast<std::size_t>(n) * 100'000, 'x'); },
          support::numbers(40));
  for (std::size_t i = 0; i < results.size(); ++i) REQUIRE(results[i].size() == i * 100'000);
}

TEST_CASE_METHOD(CrewFixture, "callables of every kind", "[map]") {
  int n = 10;
  std::vector const items{1, 2};
  CHECK(run([n](int x) { return x + n; }, items) == std::vector{11, 12});
  CHECK(run([](int& x) { return x *= 2; }, items) == std::vector{2, 4});
  CHECK(run([calls = 0](int) mutable { return ++calls; }, items, 2) == std::vector{1, 2});
  CHECK(run([](auto x) { return x; }, items) == items);
  CHECK(run([](int const& x) -> int const& { return x; }, items) == items);
}

TEST_CASE_METHOD(CrewFixture, "an input that throws runs nothing, and the next map works",
                 "[map]") {
  for (int const at : {1, 4}) {
    CHECK_THROWS_AS(run(&support::square, support::OnePass<std::out_of_range>(10, at)),
                    std::out_of_range);
    CHECK(run(&support::square, support::numbers(3)) == support::squares(3));
  }
}

TEST_CASE_METHOD(CrewFixture, "a chunksize below one is refused", "[map]") {
  for (std::int64_t const chunksize : {0, -1}) {
    CHECK_THAT(support::message_of<std::invalid_argument>(
                   [&] { run(&support::square, support::numbers(3), chunksize); }),
               ContainsSubstring("chunksize must be at least 1, not " + std::to_string(chunksize)));
  }
}

TEST_CASE_METHOD(CrewFixture, "items that are moved from the range arrive", "[map]") {
  std::vector<std::string> names{"a", "b"};
  CHECK(run(&support::greet, std::move(names)) == std::vector<std::string>{"hello a", "hello b"});
}

}  // namespace map_test
