// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_vector.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <list>
#include <new>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace shared_vector_test {

namespace mp = multiprocessing;

namespace {

struct Point {
  int x;
  double y;
  friend bool operator==(Point const&, Point const&) = default;
};

struct Fragile {
  bool is_broken = false;
  operator long() const { return is_broken ? throw std::runtime_error("no") : 1; }
};

template <class T>
T sample(std::size_t number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return std::string(number % 60, static_cast<char>('a' + number % 26)) + std::to_string(number);
  } else if constexpr (std::is_same_v<T, Point>) {
    return {static_cast<int>(number), static_cast<double>(number) / 2};
  } else {
    return static_cast<T>(number);
  }
}

}  // namespace

TEST_CASE("elements of shared memory are added, read, changed and removed", "[shared_vector]") {
  mp::SharedVector<int> const vector{1, 2, 3};
  vector.push_back(4);
  vector[0] = 10;
  vector[1] = vector[0];
  CHECK(vector.copy() == std::vector<int>{10, 10, 3, 4});
  int const third = vector[2];
  CHECK(third == 3);
  CHECK(vector[2] == 3);
  CHECK(vector.front() == 10);
  CHECK(vector.back() == 4);
  vector.insert(1, 7);
  vector.insert(5, 8);
  CHECK(vector.copy() == std::vector<int>{10, 7, 10, 3, 4, 8});
  vector.erase(0);
  vector.erase(1, 3);
  CHECK(vector.copy() == std::vector<int>{7, 4, 8});
  CHECK(vector.pop_back() == 8);
  CHECK(vector.try_pop_back() == 4);
  CHECK(vector.update(0, [](int& x) { return ++x; }) == 8);
  vector.update(0, [](int& x) { x *= 2; });
  CHECK(vector.size() == 1);
  CHECK(vector.at(0) == 16);
  vector.clear();
  CHECK(vector.empty());
  CHECK(vector.try_pop_back() == std::nullopt);
  vector.push_back(1);
  CHECK(vector.copy() == std::vector<int>{1});
}

TEST_CASE("whole ranges come at once, or not at all", "[shared_vector]") {
  mp::SharedVector<long> const vector(std::list<int>{0, 1, 2, 3, 4});
  vector.extend(std::list<int>{5, 6});
  CHECK(vector.copy() == std::vector<long>{0, 1, 2, 3, 4, 5, 6});
  vector.assign(std::array<long, 2>{8, 9});
  CHECK(vector.copy() == std::vector<long>{8, 9});
  vector.extend({10, 11});
  vector.resize(6, 7);
  CHECK(vector.copy() == std::vector<long>{8, 9, 10, 11, 7, 7});
  vector.resize(1);
  CHECK(vector.copy() == std::vector<long>{8});
  vector.resize(2);
  CHECK(vector.at(1) == 0);
  std::vector<Fragile> broken(1000);
  broken[900].is_broken = true;
  CHECK_THROWS_AS(vector.extend(broken), std::runtime_error);
  CHECK_THROWS_AS(vector.assign(broken), std::runtime_error);
  CHECK(vector.copy() == std::vector<long>{8, 0});
}

TEST_CASE("an index that is not there is told, and nothing changes", "[shared_vector]") {
  mp::SharedVector<std::string> const vector{"a", "b"};
  CHECK(support::message_of<std::out_of_range>([&] { vector.at(2); }) ==
        "SharedVector.at: there is no index 2 in a vector of size 2");
  CHECK_THROWS_AS(vector.set(2, "x"), std::out_of_range);
  CHECK_THROWS_AS(vector[5].value(), std::out_of_range);
  CHECK_THROWS_AS(vector.insert(3, "x"), std::out_of_range);
  CHECK_THROWS_AS(vector.erase(2), std::out_of_range);
  CHECK_THROWS_AS(vector.erase(1, 3), std::out_of_range);
  CHECK_THROWS_AS(vector.erase(2, 1), std::out_of_range);
  CHECK_THROWS_AS(vector.update(2, [](std::string&) {}), std::out_of_range);
  CHECK(vector.copy() == std::vector<std::string>{"a", "b"});
  mp::SharedVector<int> const empty;
  CHECK_THROWS_AS(empty.pop_back(), std::out_of_range);
  CHECK_THROWS_AS(empty.back(), std::out_of_range);
  CHECK_THROWS_AS(empty.front(), std::out_of_range);
}

TEMPLATE_TEST_CASE("any changes make what they make of a std::vector", "[shared_vector]", int, bool,
                   Point, std::string) {
  mp::SharedVector<TestType> const vector;
  std::vector<TestType> model;
  std::mt19937 random(11);
  auto const change = [&] {
    auto const value = sample<TestType>(random() % 1000);
    auto const place = model.empty() ? 0 : random() % model.size();
    auto const at = model.begin() + static_cast<std::ptrdiff_t>(place);
    auto const kind = random() % 20;
    if (kind < 8) {
      vector.push_back(value);
      model.push_back(value);
    } else if (kind < 11) {
      vector.insert(place, value);
      model.insert(at, value);
    } else if (model.empty()) {
      vector.resize(3, value);
      model.resize(3, value);
    } else if (kind < 14) {
      vector.set(place, value);
      *at = value;
    } else if (kind < 16) {
      CHECK(vector.pop_back() == model.back());
      model.pop_back();
    } else if (kind < 18) {
      vector.erase(place);
      model.erase(at);
    } else if (kind < 19) {
      vector.erase(place / 2, place);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(place / 2), at);
    } else if (random() % 10 == 0) {
      vector.clear();
      model.clear();
    }
  };
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 20; ++i) change();
    REQUIRE(vector.copy() == model);
    auto const before = model;  // the same, as one change that does not happen in the end
    CHECK_THROWS_AS(vector.with([&](auto const&) {
      for (int i = 0; i < 20; ++i) change();
      throw std::runtime_error("no");
    }),
                    std::runtime_error);
    model = before;
    REQUIRE(vector.copy() == model);
  }
}

TEMPLATE_TEST_CASE("a vector that is full keeps what it has, and goes on", "[shared_vector]", int,
                   std::string) {
  mp::SharedVector<TestType> const vector({.max_bytes = std::size_t{256} << 10});
  std::vector<TestType> model;
  auto const fill = [&] {
    for (std::size_t i = 0;; ++i) {
      vector.push_back(sample<TestType>(i));
      model.push_back(sample<TestType>(i));
    }
  };
  CHECK_THROWS_AS(fill(), std::bad_alloc);
  CHECK(model.size() > 1000);
  CHECK(vector.copy() == model);
  CHECK_THROWS_AS(vector.resize(10'000'000), std::bad_alloc);
  CHECK_THROWS_AS(vector.reserve(std::size_t{1} << 60), std::bad_alloc);
  CHECK_THROWS_AS(vector.extend(std::vector<TestType>(300'000, sample<TestType>(59))),
                  std::bad_alloc);
  CHECK(vector.copy() == model);
  vector.resize(10);
  model.resize(10);
  vector.insert(5, sample<TestType>(1));
  model.insert(model.begin() + 5, sample<TestType>(1));
  CHECK(vector.copy() == model);
  vector.clear();
  model.clear();
  CHECK_THROWS_AS(fill(), std::bad_alloc);  // as many again
  CHECK(model.size() > 1000);
}

TEST_CASE("a vector of numbers grows where it is", "[shared_vector]") {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  mp::SharedVector<char> const vector({.max_bytes = kBytes});
  std::string const piece(std::size_t{1} << 20, 'x');
  for (std::size_t size = 0; size < kBytes; size += piece.size()) vector.extend(piece);
  CHECK(vector.size() == kBytes);
}

TEST_CASE("reserved memory is there", "[shared_vector]") {
  mp::SharedVector<int> const vector;
  vector.reserve(1000);
  CHECK(vector.capacity() >= 1000);
  CHECK(vector.empty());
}

TEST_CASE("a vector is a range of copies, and is printed as a list", "[shared_vector]") {
  mp::SharedVector<std::string> const vector{"a", "b'"};
  std::string all;
  for (auto const& element : vector) {
    vector.push_back("not seen");
    all += element;
  }
  CHECK(all == "ab'");
  std::ostringstream out;
  out << mp::SharedVector<std::string>{"a", "b'"} << mp::SharedVector<double>{1, 2.5};
  CHECK(out.str() ==
        "['a', 'b\\'']"
        "[1.0, 2.5]");
}

TEST_CASE("many processes change one vector, and nothing is lost", "[shared_vector][stress]") {
  mp::SharedVector<int> const vector;
  mp::SharedVector<long> const sums{0};
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000));
  std::vector<mp::Process> processes;
  for (int number = 0; number < 4; ++number) {
    processes
        .emplace_back(
            [](mp::SharedVector<int> const& its, mp::SharedVector<long> const& sum, int begin,
               int count) {
              for (int i = 0; i < count; ++i) {
                its.push_back(begin + i);
                sum.update(0, [&](long& x) { x += begin + i; });
              }
            },
            vector, sums, number * rounds, rounds)
        .start();
  }
  for (auto& process : processes) {
    process.join();
    CHECK(process.exitcode() == 0);
  }
  auto all = vector.copy();
  std::sort(all.begin(), all.end());
  CHECK(all.size() == static_cast<std::size_t>(4 * rounds));
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  long const last = 4L * rounds - 1;
  CHECK(sums.at(0) == last * (last + 1) / 2);
}

TEST_CASE("many threads change one vector, and nothing is lost", "[shared_vector][threads]") {
  mp::SharedVector<std::string> const vector;
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([=] {
      for (int i = 0; i < 200; ++i) {
        vector.push_back(std::string(50, 'x'));
        vector.insert(0, "y");
        vector.pop_back();
        static_cast<void>(vector.copy());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(vector.size() == 800);
}

TEST_CASE("a vector may be assigned what is chosen from itself", "[shared_vector]") {
  mp::SharedVector<int> vector{1, 2, 3, 4};
  vector.assign(vector);
  CHECK(vector.copy() == std::vector{1, 2, 3, 4});
  std::vector<int> even;
  for (int const x : vector) {
    if (x % 2 == 0) even.push_back(x);
  }
  vector.with([&](mp::SharedVector<int> const& its) { its.assign(its); });
  vector.assign(even);
  CHECK(vector.copy() == std::vector{2, 4});
}

TEST_CASE("a handle may go while update() runs", "[shared_vector]") {
  mp::SharedVector<int> vector{1, 2, 3};
  auto const same = vector;
  std::optional<mp::SharedVector<int>> next;
  vector.update(0, [&](int& x) {
    x = 42;
    vector = mp::SharedVector<int>{7, 8, 9};
    next = mp::SharedVector<int>{70, 80, 90};
  });
  CHECK(same.copy() == std::vector{42, 2, 3});
  CHECK(vector.copy() == std::vector{7, 8, 9});
  CHECK(next->copy() == std::vector{70, 80, 90});
}

TEST_CASE("an element that with() returns is its value", "[shared_vector]") {
  mp::SharedVector<int> const vector{1, 2};
  int const element = vector.with([](auto const& its) { return its[1]; });
  CHECK(element == 2);
  CHECK(mp::SharedVector<int>{1, 2, 3}[2] == 3);
}

}  // namespace shared_vector_test
