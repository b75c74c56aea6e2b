// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/dict_proxy.hpp>

#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/list_proxy.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace dict_proxy_test {

namespace mp = multiprocessing;
using Items = std::map<std::string, int>;

TEST_CASE("items are set, read and removed", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<std::string, int>({{"a", 1}});
  CHECK(dict.size() == 1);
  dict["b"] = 2;
  dict.set("c", 3);
  dict["c"] = dict["a"];
  CHECK(dict.copy() == Items{{"a", 1}, {"b", 2}, {"c", 1}});
  int const b = dict["b"];
  CHECK(b == 2);
  CHECK(dict["b"] == 2);
  CHECK(dict.at("a") == 1);
  CHECK(dict.contains("a"));
  CHECK_FALSE(dict.contains("x"));
  CHECK(dict.erase("a"));
  CHECK_FALSE(dict.erase("a"));
  CHECK(dict.get("a") == std::nullopt);
  CHECK(dict.get("a", 7) == 7);
  CHECK(dict.get("b", 7) == 2);
  dict.clear();
  CHECK(dict.empty());
}

TEST_CASE("a key that is not there is told", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<std::string, int>();
  CHECK(support::message_of<std::out_of_range>([&] { dict.at("x"); }) ==
        "DictProxy: there is no such key");
  CHECK_THROWS_AS(dict["x"].value(), std::out_of_range);
  CHECK_THROWS_AS(dict.pop("x"), std::out_of_range);
  CHECK(support::message_of<std::out_of_range>([&] { dict.popitem(); }) ==
        "DictProxy.popitem: it is empty");
  CHECK(dict.empty());
}

TEST_CASE("what is removed is returned, what is missing is made", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<std::string, int>({{"a", 1}, {"b", 2}, {"c", 3}});
  CHECK(dict.pop("a") == 1);
  CHECK(dict.pop("a", 7) == 7);
  CHECK(dict.pop("b", 7) == 2);
  CHECK(dict.popitem() == std::pair<std::string, int>("c", 3));
  CHECK(dict.setdefault("d", 4) == 4);
  CHECK(dict.setdefault("d", 5) == 4);
  CHECK(dict.setdefault("e") == 0);
}

TEST_CASE("a change of one value, or of many, happens as a whole", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<std::string, int>({{"a", 1}});
  dict.update({{"a", 2}, {"b", 3}});
  CHECK(dict.items() == std::vector<std::pair<std::string, int>>{{"a", 2}, {"b", 3}});
  CHECK(dict.keys() == std::vector<std::string>{"a", "b"});
  CHECK(dict.values() == std::vector<int>{2, 3});
  CHECK(dict.update("a", [](int& x) { return x *= 10; }) == 20);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) dict.update("n", [](int& x) { ++x; });
    });
  }
  threads.clear();
  CHECK(dict["n"] == 2000);
  CHECK(dict.with([](Items& items) { return items.size(); }) == 3);
}

TEST_CASE("a dictionary is gone through as it was, and printed", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<std::string, int>({{"a", 1}, {"b", 2}});
  int sum = 0;
  for (auto const& [key, value] : dict) {
    dict.clear();
    sum += value;
  }
  CHECK(sum == 3);
  dict["x"] = 5;
  dict["y"] = 6;
  std::ostringstream out;
  out << dict;
  CHECK(out.str() == "{'x': 5, 'y': 6}");
}

TEST_CASE("dictionaries have others in them, which are one with their proxies", "[dict_proxy]") {
  mp::Manager const manager;
  auto const outer = manager.dict<std::string, mp::ListProxy<int>>();
  {
    auto const inner = manager.list<int>({1});
    outer.set("a", inner);
    inner.append(2);
  }
  outer.at("a").append(3);  // lost, in Python, of a plain list
  CHECK(outer.at("a").copy() == std::vector{1, 2, 3});
  CHECK(outer.with([](std::map<std::string, mp::ListProxy<int>>& lists) {
    return lists.at("a").size();
  }) == 3);
}

TEST_CASE("a copy is the same dictionary, in other processes, too", "[dict_proxy]") {
  mp::Manager const manager;
  auto const dict = manager.dict<int, std::string>();
  auto const copy = dict;
  CHECK(copy == dict);
  CHECK_FALSE(manager.dict<int, std::string>() == dict);
  std::vector<mp::Process> processes;
  for (int i = 0; i < 3; ++i) {
    processes.emplace_back([](mp::DictProxy<int, std::string> const& its,
                              int number) { its[number] = std::to_string(number); },
                           dict, i);
    processes.back().start();
  }
  for (auto& process : processes) process.join();
  CHECK(copy.copy() == std::map<int, std::string>{{0, "0"}, {1, "1"}, {2, "2"}});
}

}  // namespace dict_proxy_test
