// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/set_proxy.hpp>

#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include <multiprocessing/manager.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace set_proxy_test {

namespace mp = multiprocessing;

TEST_CASE("elements are added and removed once", "[set_proxy]") {
  mp::Manager const manager;
  auto const set = manager.set<int>({2});
  CHECK(set.add(1));
  CHECK_FALSE(set.add(1));
  set.update({2, 3});
  CHECK(set.copy() == std::set{1, 2, 3});
  CHECK(set.contains(3));
  CHECK(set.discard(3));
  CHECK_FALSE(set.discard(3));
  set.remove(2);
  CHECK(support::message_of<std::out_of_range>([&] { set.remove(2); }) ==
        "SetProxy.remove: it is not there");
  CHECK(set.size() == 1);
  CHECK(set.pop() == 1);
  CHECK(support::message_of<std::out_of_range>([&] { set.pop(); }) == "SetProxy.pop: it is empty");
  set.add(1);
  set.clear();
  CHECK(set.empty());
}

TEST_CASE("a set is gone through as it was, and printed", "[set_proxy]") {
  mp::Manager const manager;
  auto const set = manager.set<std::string>({"b", "a"});
  std::string all;
  for (auto const& each : set) {
    set.discard("b");
    all += each;
  }
  CHECK(all == "ab");
  std::ostringstream out;
  out << set;
  CHECK(out.str() == "{'a'}");
}

}  // namespace set_proxy_test
