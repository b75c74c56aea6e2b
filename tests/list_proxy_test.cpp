// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/list_proxy.hpp>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/manager.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace list_proxy_test {

namespace mp = multiprocessing;

TEST_CASE("elements are added, read, changed and removed", "[list_proxy]") {
  mp::Manager const manager;
  auto const list = manager.list<int>({1, 2});
  list.append(3);
  list.extend({4, 5});
  CHECK(list.copy() == std::vector{1, 2, 3, 4, 5});
  CHECK(list[0] == 1);
  CHECK(list[-1] == 5);
  list[1] = 20;
  list[0] = list[-1];
  int const first = list[0];
  CHECK(first == 5);
  CHECK(list.update(2, [](int& x) { return x += 100; }) == 103);
  CHECK(list.pop() == 5);
  CHECK(list.pop(1) == 20);
  list.remove(4);
  CHECK(list.copy() == std::vector{5, 103});
  list.insert(1, 6);
  list.insert(-100, 7);
  list.insert(100, 8);
  CHECK(list.copy() == std::vector{7, 5, 6, 103, 8});
  CHECK(list.size() == 5);
  list.clear();
  CHECK(list.empty());
}

TEST_CASE("elements that are not there are told", "[list_proxy]") {
  mp::Manager const manager;
  auto const list = manager.list<std::string>({"a"});
  CHECK(support::message_of<std::out_of_range>([&] { list.at(1); }) ==
        "ListProxy.at: there is no index 1 in a list of size 1");
  CHECK_THROWS_AS(list.at(-2), std::out_of_range);
  CHECK_THROWS_AS(list.set(1, "b"), std::out_of_range);
  CHECK_THROWS_AS(list.pop(1), std::out_of_range);
  CHECK(support::message_of<std::invalid_argument>([&] { list.remove("b"); }) ==
        "ListProxy.remove: it is not there");
  CHECK_THROWS_AS(list.index("b"), std::invalid_argument);
  list.clear();
  CHECK_THROWS_AS(list.pop(), std::out_of_range);
}

TEST_CASE("elements are found, counted and put in order", "[list_proxy]") {
  mp::Manager const manager;
  auto const list = manager.list<int>({3, 1, 2, 1});
  CHECK(list.index(1) == 1);
  CHECK(list.count(1) == 2);
  CHECK(list.contains(2));
  CHECK_FALSE(list.contains(4));
  list.sort();
  CHECK(list.copy() == std::vector{1, 1, 2, 3});
  list.reverse();
  CHECK(list.copy() == std::vector{3, 2, 1, 1});
}

TEST_CASE("a slice has what is there of it", "[list_proxy]") {
  mp::Manager const manager;
  auto const list = manager.list<int>({0, 1, 2, 3, 4});
  CHECK(list.slice(1, 3) == std::vector{1, 2});
  CHECK(list.slice(3) == std::vector{3, 4});
  CHECK(list.slice(-2) == std::vector{3, 4});
  CHECK(list.slice(-100, -3) == std::vector{0, 1});
  CHECK(list.slice(3, 100) == std::vector{3, 4});
  CHECK(list.slice(3, 1).empty());
}

TEST_CASE("a list is gone through as it was, and printed", "[list_proxy]") {
  mp::Manager const manager;
  auto const list = manager.list<std::string>({"a", "b"});
  std::string all;
  for (auto const& each : list) {
    list.clear();
    all += each;
  }
  CHECK(all == "ab");
  list.extend({"x", "y"});
  std::ostringstream out;
  out << list;
  CHECK(out.str() == "['x', 'y']");
}

}  // namespace list_proxy_test
