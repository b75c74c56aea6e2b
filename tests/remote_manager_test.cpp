// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/remote_manager.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "support/bank.hpp"
#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"

namespace remote_manager_test {

namespace mp = multiprocessing;
using support::Account;
using support::Bank;
using support::bank;
using support::Jobs;

namespace {

/// Until as many accounts are there: the server hears of it by and by.
void wait_for_accounts(int count) {
  while (*Account::alive != count) std::this_thread::yield();
}

}  // namespace

TEST_CASE("an exception arrives as itself, with where it was thrown", "[remote_manager]") {
  Bank served;
  auto const account = served.connect().create<Account>(1);
  try {
    account.call(&Account::deposit, -1);
    FAIL("nothing was thrown");
  } catch (std::invalid_argument const& error) {
    CHECK(std::string(error.what()) == "a deposit is positive");
    try {
      std::rethrow_if_nested(error);
      FAIL("it has no cause");
    } catch (mp::RemoteTraceback const& where) {
      CHECK(where.pid() == served.process().pid());
    }
  }
  CHECK(account.call(&Account::balance) == 1);
}

TEST_CASE("what is asked for wrongly is refused with a sentence", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(1);
  auto const invalid = [](auto const& f) { return support::message_of<std::invalid_argument>(f); };
  auto const type_error = [](auto const& f) { return support::message_of<mp::TypeError>(f); };
  CHECK(invalid([&] { account.call<int>("steal"); }) == "no method Account.steal is registered");
  CHECK(invalid([&] {
          account.call(&Account::not_registered);
        }).starts_with("the member function is not registered as a method of Account"));
  CHECK(type_error([&] { account.call<int>("deposit", 1L); }) ==
        "Account.deposit is int (int), and was called with other types, or by another compiler's "
        "program");
  CHECK(type_error([&] { account.call<long>("deposit", 1); }) ==
        "Account.deposit is int (int), and was called with other types, or by another compiler's "
        "program");
  CHECK(type_error([&] { remote.create<Account>(1L); }) ==
        "Account is made by void (int), and was asked for with other types, or by another "
        "compiler's program");
  CHECK(invalid([&] { remote.create<support::Gate>(); }) == "others can not make a Gate");
  CHECK(invalid([&] { remote.create<int>(); }) == "the class int is not registered");
  CHECK(invalid([&] { remote.get<Account>("nothing"); }) == "no object \"nothing\" is shared");
  CHECK(type_error([&] { remote.get<Account>("jobs"); }) == "\"jobs\" is a Jobs, not a Account");
  CHECK(account.call(&Account::balance) == 1);
}

TEST_CASE("a class that the server does not know can not be made", "[remote_manager]") {
  Bank const served;
  auto manager = bank();
  manager.register_type<int>("Number");
  auto const remote = manager.connect({.address = served.address()});
  CHECK(support::message_of<std::invalid_argument>([&] { remote.create<int>(); }) ==
        "no class \"Number\" is registered");
}

TEST_CASE("clients share an object by its name", "[remote_manager]") {
  Bank const served;
  auto const mine = served.connect().get<Account>("reserve");
  auto const same = mine;
  CHECK(same == mine);
  CHECK(mine.call(&Account::deposit, 1) == 1001);
  support::RawChild other([&] {
    return served.connect().get<Account>("reserve").call(&Account::deposit, 1) == 1002 ? 0 : 1;
  });
  CHECK(other.wait() == 0);
  CHECK(mine.call(&Account::balance) == 1002);
}

TEST_CASE("a call that waits holds up nobody", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const jobs = remote.get<Jobs>("jobs");
  std::jthread const getter([&] { CHECK(jobs.call(&Jobs::get) == "job"); });
  auto const account = remote.create<Account>(0);
  for (int i = 0; i < 100; ++i) account.call(&Account::deposit, 1);
  CHECK(account.call(&Account::balance) == 100);
  jobs.call(&Jobs::put, "job");
}

TEST_CASE("calls of many threads are one after the other at an object", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(0);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 250; ++k) account.call(&Account::deposit, 1);
      });
    }
  }
  CHECK(account.call(&Account::balance) == 1000);
}

TEST_CASE("a large value arrives whole", "[remote_manager]") {
  Bank const served;
  std::string const large(std::size_t{4} << 20, 'x');
  CHECK(served.connect().create<Account>(0).call(&Account::echo, large) == large);
}

TEST_CASE("an object goes with its last handle", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  remote.get<Account>("reserve");
  wait_for_accounts(1);
  {
    std::optional<mp::RemoteProxy<Account>> copy;
    {
      auto const account = remote.create<Account>(1);
      copy = account;
    }
    CHECK(copy->call(&Account::balance) == 1);
    CHECK(*Account::alive == 2);
  }
  wait_for_accounts(1);
}

TEST_CASE("the objects of a killed client go, and nothing else", "[remote_manager]") {
  Bank const served;
  auto const mine = served.connect().create<Account>(1);
  support::Pipe const made;
  support::RawChild victim([&] {
    auto const remote = served.connect();
    std::vector<mp::RemoteProxy<Account>> accounts;
    for (int i = 0; i < 10; ++i) accounts.push_back(remote.create<Account>(i));
    made.tell();
    remote.get<Jobs>("jobs").call(&Jobs::get);  // is killed in a call
  });
  made.hear();
  CHECK(*Account::alive == 12);
  victim.kill();
  victim.wait();
  served.connect().get<Jobs>("jobs").call(&Jobs::put, "for the dead");
  wait_for_accounts(2);
  CHECK(mine.call(&Account::balance) == 1);
}

TEST_CASE("a killed server is told by every call", "[remote_manager]") {
  Bank served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(1);
  auto const gate = remote.get<support::Gate>("gate");
  std::jthread const waits(
      [&] { CHECK_THROWS_AS(gate.call(&support::Gate::pass), mp::BrokenPipeError); });
  served.passing().hear();
  served.process().kill();
  served.process().wait();
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(account.call(&Account::balance), mp::BrokenPipeError);
    CHECK_THROWS_AS(remote.create<Account>(1), mp::BrokenPipeError);
  }
}

TEST_CASE("the objects of an ended server are not the next one's", "[remote_manager]") {
  std::optional<Bank> served(std::in_place);
  auto const address = served->address();
  auto const remote = served->connect();
  auto const account = remote.create<Account>(1);
  served->shut_down();
  served->process().wait();
  served.reset();
  served.emplace(mp::ManagerServerOptions{.address = address});
  CHECK_THROWS_AS(account.call(&Account::balance), mp::BrokenPipeError);
  auto const text =
      support::message_of<mp::BrokenPipeError>([&] { account.call(&Account::balance); });
  CHECK(text == "RemoteProxy.call: \"" + address.str() +
                    "\": the session has ended, and its objects have gone");
  CHECK(served->connect().create<Account>(2).call(&Account::balance) == 2);
}

TEST_CASE("a forked child calls what its parent has", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(1);
  support::RawChild child([&] {
    bool const right = account.call(&Account::deposit, 1) == 2 &&
                       remote.create<Account>(5).call(&Account::balance) == 5;
    return right ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(account.call(&Account::balance) == 2);
}

TEST_CASE("parent and child each get what they have asked for", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(1);
  auto const ask = [&](std::string const& own) {
    for (int i = 0; i < 300; ++i) {
      if (account.call(&Account::echo, own) != own) return 1;
    }
    return 0;
  };
  support::RawChild child([&] { return ask("child"); });
  CHECK(ask("parent") == 0);
  CHECK(child.wait() == 0);
}

TEST_CASE("what a forked child has made goes with it", "[remote_manager]") {
  Bank const served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(1);
  {
    support::RawChild child([&] {
      for (int i = 0; i < 20; ++i) remote.create<Account>(i);
      std::vector<mp::RemoteProxy<Account>> kept;
      for (int i = 0; i < 20; ++i) kept.push_back(remote.create<Account>(i));
      auto const copy = account;  // is the parent's, and stays
      ::raise(SIGKILL);
    });
    child.wait();
  }
  wait_for_accounts(2);  // the bank's own, and this
  CHECK(account.call(&Account::balance) == 1);
}

TEST_CASE("what is dropped while all connections are busy goes, too", "[remote_manager]") {
  Bank served;
  auto const remote = served.connect();
  auto account = std::make_unique<mp::RemoteProxy<Account>>(remote.create<Account>(1));
  auto const gate = remote.get<support::Gate>("gate");
  {
    std::jthread const caller([&] { gate.call(&support::Gate::pass); });
    served.passing().hear();
    account.reset();
    CHECK(*Account::alive == 2);
    served.go().tell();
  }
  wait_for_accounts(1);
}

TEST_CASE("a handle is dropped in no time when the server has been stopped", "[remote_manager]") {
  Bank served;
  auto const remote = served.connect();
  std::vector<mp::RemoteProxy<Account>> accounts;
  for (int i = 0; i < 3000; ++i) accounts.push_back(remote.create<Account>(i));
  served.process().stop();
  accounts.clear();  // the watchdog would notice
  served.process().go_on();
  while (*Account::alive != 1) remote.get<Account>("reserve");  // tells it by and by
}

TEST_CASE("a killed server is told while processes that it started live", "[remote_manager]") {
  Bank served;
  auto const remote = served.connect();
  auto const starter = remote.create<support::Starter>();
  auto const gate = remote.get<support::Gate>("gate");
  std::jthread const waits(
      [&] { CHECK_THROWS_AS(gate.call(&support::Gate::pass), mp::BrokenPipeError); });
  served.passing().hear();
  auto const grandchild = starter.call(&support::Starter::start);
  ::kill(served.process().pid(), SIGSTOP);  // so that what it has started is not ended with it
  served.process().kill();
  served.process().wait();
  CHECK_THROWS_AS(starter.call(&support::Starter::start), mp::BrokenPipeError);
  ::kill(grandchild, SIGKILL);
}

TEST_CASE("a copy that a destructor forks of the server answers nobody", "[remote_manager]") {
  Bank served;
  auto const remote = served.connect();
  auto const account = remote.create<Account>(0);
  for (int i = 1; i <= 20; ++i) {
    remote.create<support::Forker>();
    CHECK(account.call(&Account::deposit, 1) == i);
  }
  served.process().kill();
  served.process().wait();
  CHECK_THROWS_AS(account.call(&Account::balance), mp::BrokenPipeError);
}

TEST_CASE("clients that come and go leave nothing", "[remote_manager]") {
  Bank const served;
  auto const before = support::open_fds();
  for (int i = 0; i < 50; ++i) {
    auto const remote = served.connect();
    auto const account = remote.create<Account>(i);
    CHECK(account.call(&Account::balance) == i);
  }
  wait_for_accounts(1);
  CHECK(support::open_fds() == before);
}

TEST_CASE("nobody serves there", "[remote_manager]") {
  CHECK_THROWS_AS(bank().connect({.address = "@multiprocessing-nobody"}), std::system_error);
}

}  // namespace remote_manager_test
