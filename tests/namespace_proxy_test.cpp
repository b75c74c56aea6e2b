// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/namespace_proxy.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/list_proxy.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace namespace_proxy_test {

namespace mp = multiprocessing;

TEST_CASE("values of any types have names", "[namespace_proxy]") {
  mp::Manager const manager;
  auto const space = manager.Namespace();
  space["x"] = 5;
  space["y"] = "text";
  space.set("z", std::vector{1, 2});
  CHECK(space["x"].get<int>() == 5);
  CHECK(space["y"].get<std::string>() == "text");
  CHECK(space.get<std::vector<int>>("z") == std::vector{1, 2});
  space["x"] = 2.5;
  CHECK(space["x"].get<double>() == 2.5);
  CHECK(space.names() == std::vector<std::string>{"x", "y", "z"});
  CHECK(space.contains("x"));
  CHECK(space.erase("x"));
  CHECK_FALSE(space.erase("x"));
  CHECK_FALSE(space.contains("x"));
}

TEST_CASE("a name that is not there, or is something else, is told", "[namespace_proxy]") {
  mp::Manager const manager;
  auto const space = manager.Namespace();
  space["x"] = 5;
  CHECK(support::message_of<std::out_of_range>([&] { space["y"].get<int>(); }) ==
        "NamespaceProxy: there is no \"y\"");
  CHECK(support::message_of<mp::TypeError>([&] { space["x"].get<double>(); }) ==
        "NamespaceProxy: \"x\" is a int, not a double");
}

TEST_CASE("a namespace has proxies in it, and goes to other processes", "[namespace_proxy]") {
  mp::Manager const manager;
  auto const space = manager.Namespace();
  space["list"] = manager.list<int>();
  mp::Process process(
      [](mp::NamespaceProxy const& its) {
        its["list"].get<mp::ListProxy<int>>().append(7);
        its["seen"] = true;
      },
      space);
  process.start();
  process.join();
  CHECK(space["seen"].get<bool>());
  CHECK(space["list"].get<mp::ListProxy<int>>().copy() == std::vector{7});
}

}  // namespace namespace_proxy_test
