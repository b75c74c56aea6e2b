// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/object_proxy.hpp>

#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/start_methods.hpp"

namespace object_proxy_test {

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

namespace {

int twice(int& x) { return x *= 2; }

/// Not to be copied, nor sent.
class Account {
 public:
  explicit Account(long balance) : balance_(balance) {
    if (balance < 0) throw std::invalid_argument("an account with debts");
  }
  Account(Account const&) = delete;
  Account& operator=(Account const&) = delete;

  long deposit(long amount) { return balance_ += amount; }
  void rename(std::string const& name) { name_ = name; }
  std::string name() const { return name_; }
  long balance() const noexcept { return balance_; }
  long const& reference() const { return balance_; }
  void withdraw(long amount) {
    if (amount > balance_) throw std::domain_error("not so much");
    balance_ -= amount;
  }

 private:
  long balance_;
  std::string name_;
};

}  // namespace

TEST_CASE("any member function is called, with what its parameters are made of", "[object_proxy]") {
  mp::Manager const manager;
  auto const account = manager.create<Account>(100);
  CHECK(account.call(&Account::deposit, 5) == 105);
  account.call(&Account::rename, "mine");
  CHECK(account.call(&Account::name) == "mine");
  CHECK(account.call(&Account::balance) == 105);
  CHECK(account.call(&Account::reference) == 105);
  CHECK(manager.create<std::string>(std::string("text")).copy() == "text");
}

TEST_CASE("several steps happen as one, in the manager's process", "[object_proxy]") {
  mp::Manager const manager;
  auto const account = manager.create<Account>(100);
  long amount = 7;
  CHECK(account.with([amount](Account& its) {
    its.deposit(amount);
    its.deposit(-3);
    return its.balance();
  }) == 104);
  CHECK(account.with(
            [](Account& its, std::string const& name) {
              its.rename(name);
              return ::getpid();
            },
            std::string("x")) == manager.pid());
}

TEST_CASE("exceptions arrive as themselves, and nobody else's calls suffer", "[object_proxy]") {
  mp::Manager const manager;
  auto const account = manager.create<Account>(100);
  CHECK(support::message_of<std::domain_error>([&] { account.call(&Account::withdraw, 101); }) ==
        "not so much");
  CHECK_THROWS_AS(manager.create<Account>(-1), std::invalid_argument);
  struct Unknown {};
  CHECK_THROWS_AS(account.with([](Account&) { throw Unknown(); }), mp::RemoteError);
  CHECK(account.call(&Account::balance) == 100);
}

TEMPLATE_TEST_CASE("proxies go to other processes, and back", "[object_proxy]", ByFork, BySpawn,
                   ByForkServer) {
  mp::Manager const manager({.start_method = TestType::options().start_method});
  auto const account = manager.create<Account>(100);
  mp::Queue<mp::ObjectProxy<Account>> queue;
  auto const status = TestType::run(
      [](mp::ObjectProxy<Account> const& its, mp::Queue<mp::ObjectProxy<Account>> const& back) {
        its.call(&Account::deposit, 5);
        back.put(its);
      },
      account, queue);
  CHECK(status.exitcode() == 0);
  CHECK(queue.get() == account);
  CHECK(account.call(&Account::balance) == 105);
}

TEST_CASE("a function by its name is called with the object", "[object_proxy]") {
  mp::Manager const manager;
  auto const number = manager.create<int>(1);
  CHECK(number.with(twice) == 2);
  auto const dict = manager.dict<int, int>({{1, 4}});
  CHECK(dict.update(1, twice) == 8);
  auto const list = manager.list<int>({8});
  CHECK(list.update(0, twice) == 16);
}

}  // namespace object_proxy_test
