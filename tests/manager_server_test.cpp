// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/manager_server.hpp>

#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/listener.hpp>

#include "support/bank.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/cryptography.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/temporary_directory.hpp"

namespace manager_server_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::Account;
using support::Bank;
using support::bank;

TEST_CASE("a served address can be served again at once", "[manager_server]") {
  support::WithCryptography const with{support::any_cryptography()};
  support::TemporaryDirectory const directory;
  mp::Address again = directory.path("bank");
  mp::AuthKey key;
  SECTION("a path") {}
  SECTION("TCP") {
    again = "127.0.0.1:0";
    key = "secret";
  }
  for (int i = 0; i < 3; ++i) {
    Bank served({.address = again, .authkey = key});
    again = served.address();
    auto const remote = bank().connect({.address = again, .authkey = key});
    CHECK(remote.create<Account>(i).call(&Account::balance) == i);
    served.shut_down();
    CHECK(served.process().wait() == 0);
  }
}

TEST_CASE("the path of a killed server is served again", "[manager_server]") {
  support::TemporaryDirectory const directory;
  auto const path = directory.path("bank");
  support::RawChild victim([&] {
    auto server = bank().serve({.address = path});
    ::raise(SIGKILL);
  });
  victim.wait();
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  Bank const served({.address = path});
  CHECK(served.connect().create<Account>(3).call(&Account::balance) == 3);
}

TEST_CASE("a path where somebody listens, or that is no socket, stays", "[manager_server]") {
  support::TemporaryDirectory const directory;
  auto const path = directory.path("bank");
  SECTION("another server") {
    Bank const served({.address = path});
    CHECK_THROWS_AS(bank().serve({.address = path}), std::system_error);
    CHECK(served.connect().create<Account>(3).call(&Account::balance) == 3);
  }
  SECTION("a listener that does not accept") {
    mp::Listener const listener({.address = path});
    CHECK_THROWS_AS(bank().serve({.address = path}), std::system_error);
  }
  SECTION("a file") {
    directory.write("bank", "text");
    CHECK_THROWS_AS(bank().serve({.address = path}), std::system_error);
    CHECK(directory.read("bank") == "text");
  }
}

TEST_CASE("of many that serve a dead one's path at once, one does", "[manager_server]") {
  support::TemporaryDirectory const directory;
  auto const path = directory.path("bank");
  support::RawChild([&] {
    auto const server = bank().serve({.address = path});
    ::_exit(0);
  }).wait();
  support::Pipe const go;
  support::Pipe done;
  std::vector<std::unique_ptr<support::RawChild>> racers;
  for (int i = 0; i < 8; ++i) {
    racers.push_back(std::make_unique<support::RawChild>([&] {
      go.hear();
      try {
        auto const server = bank().serve({.address = path});
        done.tell('1');
        ::pause();
      } catch (std::system_error const&) {
        done.tell('0');
      }
    }));
  }
  for (std::size_t i = 0; i < racers.size(); ++i) go.tell();
  int servers = 0;
  for (std::size_t i = 0; i < racers.size(); ++i) servers += done.hear() - '0';
  CHECK(servers == 1);
}

TEST_CASE("a call that runs is answered before a server ends", "[manager_server]") {
  Bank served({.grace = 60s});
  auto const remote = served.connect();
  auto const gate = remote.get<support::Gate>("gate");
  auto const account = remote.create<Account>(1);
  std::jthread const caller([&] { CHECK(gate.call(&support::Gate::pass) == 7); });
  served.passing().hear();
  served.shut_down();
  while (true) {  // until it has been stopped
    try {
      account.call(&Account::balance);
    } catch (mp::BrokenPipeError const&) {
      break;
    }
  }
  served.go().tell();
  CHECK(served.process().wait() == 0);
}

TEST_CASE("a call that outlasts the grace is not answered", "[manager_server]") {
  Bank served({.grace = 0ms});
  auto const gate = served.connect().get<support::Gate>("gate");
  std::jthread([&] {
    std::jthread const caller([&] {
      CHECK(support::message_of<mp::BrokenPipeError>([&] {
              gate.call(&support::Gate::pass);
            }).ends_with("has ended the connection"));
    });
    served.passing().hear();
    served.shut_down();
  }).join();  // it is told while the call still runs
  served.go().tell();
  CHECK(served.process().wait() == 0);
}

TEST_CASE("a server that was shut down before it serves does not begin", "[manager_server]") {
  auto server = bank().serve();
  server.shutdown();
  server.shutdown();
  server.serve_forever();
}

TEST_CASE("a name is shared once, of a class that is registered", "[manager_server]") {
  auto server = bank().serve();
  server.share("one", std::make_shared<Account>(1));
  CHECK(support::message_of<std::invalid_argument>([&] {
          server.share("one", std::make_shared<Account>(2));
        }) == "ManagerServer.share: the name \"one\" is taken");
  CHECK(support::message_of<std::invalid_argument>([&] {
          server.share("two", std::make_shared<int>(2));
        }) == "the class int is not registered");
}

TEST_CASE("there has to be an object to share", "[manager_server]") {
  auto server = bank().serve();
  CHECK(support::message_of<std::invalid_argument>([&] {
          server.share("one", std::shared_ptr<Account>());
        }) == "ManagerServer.share: there is no object for \"one\"");
}

TEST_CASE("guests who say nothing hold up no shutdown", "[manager_server]") {
  Bank served({.grace = 200s});
  auto const guest = mp::Client({.address = served.address()});
  auto const remote = served.connect();  // is accepted after that
  served.shut_down();
  CHECK(served.process().wait() == 0);
}

TEST_CASE("services that restart in one folder do not hinder each other", "[manager_server]") {
  support::TemporaryDirectory const directory;
  std::vector<std::unique_ptr<support::RawChild>> services;
  for (auto const* const name : {"a", "b"}) {
    services.push_back(std::make_unique<support::RawChild>([&] {
      for (int i = 0; i < 30; ++i) {
        support::RawChild victim([&] {
          try {
            auto const server = bank().serve({.address = directory.path(name)});
            ::_exit(0);  // leaves the path behind
          } catch (std::system_error const&) {
            ::_exit(1);
          }
        });
        if (victim.wait() != 0) return 1;
      }
      return 0;
    }));
  }
  for (auto const& service : services) CHECK(service->wait() == 0);
}

TEST_CASE("who is turned away harms nobody", "[manager_server]") {
  support::WithCryptography const with{support::any_cryptography()};
  Bank const served({.authkey = "secret"});
  auto const stranger = [&](mp::AuthKey const& key) {
    return bank().connect({.address = served.address(), .authkey = key});
  };
  CHECK_THROWS_AS(stranger("guess"), mp::AuthenticationError);
  CHECK_THROWS_AS(stranger({}), mp::Error);
  auto const remote = stranger("secret");
  CHECK(remote.create<Account>(3).call(&Account::balance) == 3);
}

TEST_CASE("TCP needs a key", "[manager_server]") {
  CHECK_THROWS_AS(bank().serve({.address = "127.0.0.1:0"}), std::invalid_argument);
}

}  // namespace manager_server_test
