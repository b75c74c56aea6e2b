// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_map.hpp>

#include <compare>
#include <cstddef>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace shared_map_test {

namespace mp = multiprocessing;
using Items = std::map<std::string, int>;

namespace {

struct Cell {
  int row;
  int column;
  friend auto operator<=>(Cell const&, Cell const&) = default;
};

template <class T>
T sample(unsigned long number) {
  if constexpr (std::is_same_v<T, std::string>) {
    return std::string(number % 60, static_cast<char>('a' + number % 26)) + std::to_string(number);
  } else if constexpr (std::is_same_v<T, Cell>) {
    return {static_cast<int>(number % 10), static_cast<int>(number)};
  } else {
    return static_cast<T>(number);
  }
}

}  // namespace

TEST_CASE("a shared map's items are set, read and removed", "[shared_map]") {
  mp::SharedMap<std::string, int> const map{{"a", 1}};
  CHECK(map.size() == 1);
  map["b"] = 2;
  map.set("c", 3);
  map["c"] = map["a"];
  CHECK(map.copy() == Items{{"a", 1}, {"b", 2}, {"c", 1}});
  int const b = map["b"];
  CHECK(b == 2);
  CHECK(map["b"] == 2);
  CHECK(map.at("a") == 1);
  CHECK(map.contains("a"));
  CHECK_FALSE(map.contains("x"));
  CHECK_FALSE(map.insert_or_assign("a", 4));
  CHECK(map.insert_or_assign("d", 5));
  CHECK(map.erase("a"));
  CHECK_FALSE(map.erase("a"));
  CHECK(map.get("a") == std::nullopt);
  CHECK(map.get("a", 7) == 7);
  CHECK(map.get("b", 7) == 2);
  map.clear();
  CHECK(map.empty());
  map.set("z", 1);
  CHECK(map.copy() == Items{{"z", 1}});
}

TEST_CASE("a key that a shared map has not is told", "[shared_map]") {
  mp::SharedMap<std::string, int> const map;
  CHECK(support::message_of<std::out_of_range>([&] { map.at("x"); }) ==
        "SharedMap.at: there is no such key");
  CHECK_THROWS_AS(map["x"].value(), std::out_of_range);
  CHECK_THROWS_AS(map.pop("x"), std::out_of_range);
  CHECK(support::message_of<std::out_of_range>([&] { map.popitem(); }) ==
        "SharedMap.popitem: it is empty");
  CHECK(map.empty());
}

TEST_CASE("what is removed from a shared map is returned, what is missing is made",
          "[shared_map]") {
  mp::SharedMap<std::string, int> const map(Items{{"a", 1}, {"b", 2}, {"c", 3}});
  CHECK(map.pop("a") == 1);
  CHECK(map.pop("a", 9) == 9);
  CHECK(map.pop("b", 9) == 2);
  CHECK(map.popitem() == std::pair<std::string, int>{"c", 3});
  CHECK(map.setdefault("d", 4) == 4);
  CHECK(map.setdefault("d", 5) == 4);
  CHECK(map.setdefault("e") == 0);
  map.update({{"d", 6}, {"f", 7}});
  CHECK(map.update("d", [](int& x) { return ++x; }) == 7);
  map.update("new", [](int& x) { x += 3; });
  CHECK(map.copy() == Items{{"d", 7}, {"e", 0}, {"f", 7}, {"new", 3}});
  CHECK(map.keys() == std::vector<std::string>{"d", "e", "f", "new"});
  CHECK(map.values() == std::vector<int>{7, 0, 7, 3});
  CHECK(map.items().front() == std::pair<std::string, int>{"d", 7});
  CHECK_THROWS_AS(map.update("d",
                             [](int& x) {
                               x = 0;
                               throw std::runtime_error("no");
                             }),
                  std::runtime_error);
  CHECK(map.at("d") == 7);
}

TEST_CASE("a shared map is a range of copies, and is printed as a dict", "[shared_map]") {
  mp::SharedMap<std::string, int> const map{{"b", 2}, {"a", 1}};
  std::string all;
  for (auto const& [key, value] : map) {
    map.set("not seen", 0);
    all += key + std::to_string(value);
  }
  CHECK(all == "a1b2");
  map.erase("not seen");
  std::ostringstream out;
  out << map;
  CHECK(out.str() == "{'a': 1, 'b': 2}");
}

TEMPLATE_TEST_CASE("any changes make what they make of a std::map", "[shared_map]",
                   (std::pair<int, int>), (std::pair<std::string, std::string>),
                   (std::pair<Cell, std::string>), (std::pair<std::string, Cell>)) {
  using Key = typename TestType::first_type;
  using Value = typename TestType::second_type;
  mp::SharedMap<Key, Value> const map;
  std::map<Key, Value> model;
  std::mt19937 random(5);
  auto const change = [&] {
    auto const key = sample<Key>(random() % 150);
    auto const value = sample<Value>(random() % 1000);
    auto const kind = random() % 20;
    if (kind < 11) {
      CHECK(map.insert_or_assign(key, value) == model.insert_or_assign(key, value).second);
    } else if (kind < 17) {
      CHECK(map.erase(key) == (model.erase(key) == 1));
    } else if (kind < 19) {
      map.update(key, [&](Value& its) { its = value; });
      model[key] = value;
    } else if (random() % 10 == 0) {
      map.clear();
      model.clear();
    }
  };
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 30; ++i) change();
    REQUIRE(map.copy() == model);
    auto const before = model;  // the same, as one change that does not happen in the end
    CHECK_THROWS_AS(map.with([&](auto const&) {
      for (int i = 0; i < 30; ++i) change();
      throw std::runtime_error("no");
    }),
                    std::runtime_error);
    model = before;
    REQUIRE(map.copy() == model);
  }
}

TEST_CASE("a shared map that is full keeps what it has, and goes on", "[shared_map]") {
  mp::SharedMap<std::string, std::string> const map({.max_bytes = std::size_t{256} << 10});
  std::map<std::string, std::string> model;
  auto const fill = [&] {
    for (unsigned i = 0;; ++i) {
      map.set(sample<std::string>(i), sample<std::string>(i + 1));
      model[sample<std::string>(i)] = sample<std::string>(i + 1);
    }
  };
  CHECK_THROWS_AS(fill(), std::bad_alloc);
  auto const size = model.size();
  CHECK(size > 500);
  CHECK(map.copy() == model);
  CHECK_THROWS_AS(map.set("a", std::string(std::size_t{1} << 20, 'x')), std::bad_alloc);
  CHECK_THROWS_AS(map.update({{"a", "b"}, {"c", std::string(std::size_t{1} << 20, 'x')}}),
                  std::bad_alloc);
  CHECK(map.copy() == model);
  for (unsigned i = 0; i < 100; ++i) {  // what is freed is there for others
    CHECK(map.pop(sample<std::string>(i)) == sample<std::string>(i + 1));
    map.set(sample<std::string>(i), sample<std::string>(i + 1));
  }
  CHECK(map.copy() == model);
  map.clear();
  model.clear();
  CHECK_THROWS_AS(fill(), std::bad_alloc);
  CHECK(model.size() == size);
}

TEST_CASE("memory of a shared map does not grow where items come and go", "[shared_map]") {
  mp::SharedMap<int, std::string> const map({.max_bytes = std::size_t{64} << 10});
  for (int i = 0; i < 20'000; ++i) {
    map.set(i, std::string(static_cast<std::size_t>(i % 90), 'x'));
    if (i >= 100) REQUIRE(map.erase(i - 100));
  }
  CHECK(map.size() == 100);
}

TEST_CASE("many processes count in one map, and nothing is lost", "[shared_map][stress]") {
  mp::SharedMap<std::string, long> const map;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000);
  std::vector<mp::Process> processes;
  for (int number = 0; number < 4; ++number) {
    processes
        .emplace_back(
            [](mp::SharedMap<std::string, long> const& its, long count) {
              for (long i = 0; i < count; ++i) {
                its.update("key " + std::to_string(i % 10), [](long& x) { ++x; });
              }
            },
            map, rounds)
        .start();
  }
  for (auto& process : processes) {
    process.join();
    CHECK(process.exitcode() == 0);
  }
  long sum = 0;
  for (auto const& [key, value] : map) sum += value;
  CHECK(sum == 4 * rounds);
  CHECK(map.size() == 10);
}

TEST_CASE("many threads change one map, and nothing is lost", "[shared_map][threads]") {
  mp::SharedMap<int, std::string> const map;
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([=] {
      for (int i = 0; i < 200; ++i) {
        map.set(number * 1000 + i, std::string(50, 'x'));
        static_cast<void>(map.get(number * 1000 + i / 2));
        if (i % 2 == 1) map.erase(number * 1000 + i);
        if (i % 50 == 0) static_cast<void>(map.copy());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(map.size() == 400);
}

}  // namespace shared_map_test
