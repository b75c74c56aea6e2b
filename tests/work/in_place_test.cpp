// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/in_place.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/bind.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace in_place_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;

namespace {

struct OwnCrew {
  std::shared_ptr<Crew> crew = std::make_shared<Crew>(Crew::Options{.workers = 2});
  ~OwnCrew() { crew->terminate("test", Crew::Ending::kill); }

  template <class F, class T>
  void map(std::optional<std::int64_t> chunksize, F const& f, mp::RawArray<T> const& elements) {
    map_in_place(*crew, "test", chunksize, f, elements);
  }
};

mp::RawArray<int> counted(int size) { return mp::RawArray<int>(support::numbers(size)); }
template <class T>
std::vector<T> values_of(mp::RawArray<T> const& array) {
  return {array.begin(), array.end()};
}
void add_one(int& x) { ++x; }

struct Point {
  double x;
  double y;
};

using ByReference = void (*)(int&);
using AnyLvalue = decltype([](auto& x) { x += 1; });
static_assert(kInPlace<ByReference, mp::Array<int>&>);
static_assert(kInPlace<ByReference, mp::RawArray<int> const&>);
static_assert(kInPlace<ByReference, mp::RawArray<int>>);
static_assert(kInPlace<AnyLvalue, mp::Array<int>&>);
static_assert(!kInPlace<void (*)(int), mp::Array<int>&>);
static_assert(!kInPlace<void (*)(int const&), mp::Array<int>&>);
static_assert(!kInPlace<decltype([](auto&& x) { x += 1; }), mp::Array<int>&>);
static_assert(!kInPlace<ByReference, std::vector<int>&>);

}  // namespace

TEST_CASE("a function changes the elements of an array where they are", "[in_place]") {
  OwnCrew own;
  auto const array = counted(100);
  own.map(
      {}, [](int& x) { x *= x; }, array);
  CHECK(values_of(array) == support::squares(100));
  own.map(
      {}, [](int& x) noexcept { x = -x; }, array);
  CHECK(array[99] == -99 * 99);
  own.map({}, &add_one, array);
  CHECK(array[99] == -99 * 99 + 1);
  mp::RawArray<Point> const points(7);
  own.map(
      {}, [](Point& point) { point.y = point.x + 1; }, points);
  CHECK(std::all_of(points.begin(), points.end(), [](auto const& each) { return each.y == 1; }));
}

TEST_CASE("every element is met once, whatever the size of chunks", "[in_place]") {
  OwnCrew own;
  for (int const size : {0, 1, 2, 9, 1000}) {
    for (int const chunksize : {1, 2, 7, 5000}) {
      auto const array = counted(size);
      own.map(chunksize, &add_one, array);
      auto expected = support::numbers(size);
      for (int& x : expected) ++x;
      CHECK(values_of(array) == expected);
    }
  }
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { own.map(0, &add_one, counted(1)); }),
             ContainsSubstring("test: chunksize must be at least 1, not 0"));
}

TEST_CASE("a failure in place leaves the rest of its chunk, and no other", "[in_place]") {
  OwnCrew own;
  auto const array = counted(15);
  auto const fail = [](int& x) {
    if (x == 7 || x == 12) throw std::out_of_range(std::to_string(x));
    x = -1;
  };
  CHECK(support::message_of<std::out_of_range>([&] { own.map(5, fail, array); }) == "7");
  CHECK(values_of(array) == std::vector{-1, -1, -1, -1, -1, -1, -1, 7, 8, 9, -1, -1, 12, 13, 14});
}

TEST_CASE("a worker that dies in place costs its chunk", "[in_place]") {
  OwnCrew own;
  auto const array = counted(10);
  auto const die = [](int& x) {
    if (x == 6) support::kill_self(x);
    x = -1;
  };
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { own.map(5, die, array); }),
             ContainsSubstring("test, items 5 to 9 of 10: worker process"));
  CHECK(values_of(array) == std::vector{-1, -1, -1, -1, -1, -1, 6, 7, 8, 9});
  own.map(1, &add_one, array);
  CHECK(array[9] == 10);
}

TEST_CASE("a copy that a function in place forks ends where it would go on", "[in_place]") {
  OwnCrew own;
  auto const array = counted(10);
  auto const fork = [](int& x) {
    if (x % 4 == 1) {
      pid_t const pid = ::fork();
      if (pid == 0) return;
      ::waitpid(pid, nullptr, 0);
    }
    ++x;
  };
  own.map(10, fork, array);
  CHECK(values_of(array) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("a function in place may have shared objects with it", "[in_place]") {
  OwnCrew own;
  mp::Value<int> const sum(0);
  auto const array = counted(10);
  auto const add = mp::bind(
      [](mp::Value<int> const& to, int& x) {
        *to.lock() += x;
        x = 0;
      },
      sum);
  own.map(2, add, array);
  CHECK(sum.value() == 45);
  CHECK(values_of(array) == std::vector<int>(10));
}

TEST_CASE("several threads may map in place at once", "[in_place]") {
  OwnCrew own;
  auto const array = counted(1000);
  std::vector<mp::RawArray<int>> others;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) others.push_back(counted(100));
    for (auto const& each : others) {
      threads.emplace_back([&own, each] {
        for (int round = 0; round < 50; ++round) own.map(9, &add_one, each);
      });
    }
  }
  for (auto const& each : others) CHECK(each[99] == 99 + 50);
}

TEST_CASE("a map in place that is broken off says so, and the array stays", "[in_place]") {
  OwnCrew own;
  support::Pipe begun;
  auto const array = counted(4);
  std::string message;
  auto const stay = [at = support::PipeElsewhere::of(begun)](int& x) {
    x = -1;
    at.tell();
    for (;;) ::pause();
  };
  {
    std::jthread const caller([&] {
      message = support::message_of<mp::CancelledError>([&] { own.map(1, stay, array); });
    });
    begun.hear();
    begun.hear();
    own.crew->terminate("test");
  }
  CHECK_THAT(message, ContainsSubstring("the pool was terminated"));
  CHECK(values_of(array) == std::vector{-1, -1, 2, 3});
}

}  // namespace in_place_test
