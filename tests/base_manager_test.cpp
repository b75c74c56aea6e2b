// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base_manager.hpp>

#include <stdexcept>

#include "support/bank.hpp"
#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace base_manager_test {

namespace mp = multiprocessing;
using support::Account;
using support::Bank;
using support::bank;

TEST_CASE("another program makes objects, and calls them by pointers and by names",
          "[base_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(100);
  CHECK(account.call(&Account::deposit, 5) == 105);
  CHECK(account.call<int>("deposit", 5) == 110);
  CHECK(account.call<int>("double") == 220);
  CHECK(account.call(&Account::balance) == 220);
  CHECK(account.call(&Account::echo, "text") == "text");
  CHECK(account.call<std::string>("echo", "text") == "text");
}

TEST_CASE("a name is registered once, and so is a class", "[base_manager]") {
  auto manager = bank();
  CHECK(support::message_of<std::invalid_argument>([&] {
          manager.register_type<int>("Account");
        }) == "BaseManager.register_type: the name \"Account\" is registered already");
  CHECK(support::message_of<std::invalid_argument>([&] {
          manager.register_type<Account, int>("Other");
        }) == "BaseManager.register_type: the class support::Account is registered already");
  struct Thing {
    int f() { return 1; }
  };
  auto const thing = manager.register_type<Thing>("Thing");
  thing.method("f", &Thing::f);
  CHECK(support::message_of<std::invalid_argument>([&] { thing.method("f", &Thing::f); }) ==
        "RegisteredType.method: Thing has a method \"f\" already");
}

TEST_CASE("who serves has what was registered before", "[base_manager]") {
  mp::BaseManager manager;
  auto const server = manager.serve();
  manager.register_type<int>("int");
  CHECK_THROWS_AS(const_cast<mp::ManagerServer&>(server).share("x", std::make_shared<int>(1)),
                  std::invalid_argument);
}

}  // namespace base_manager_test
