// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/client.hpp>

#include <unistd.h>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/serve/remote.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace client_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
using namespace multiprocessing::serve;

namespace {

constexpr channel::Call kCall{"Test", "call"};

struct Refuses {
  template <class Archive>
  void save(Archive&) const {
    throw std::runtime_error("not me");
  }
  template <class Archive>
  void load(Archive&) {}
};

struct Running {
  ServerAddress address = ServerAddress::make();
  support::Pipe up;
  support::RawChild child{[this] { Server(address).run([this] { up.tell(); }); }};

  Running() { up.hear(); }
};

}  // namespace

TEST_CASE("a killed server ends calls that wait, and all that come", "[client]") {
  Running server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  auto const is_told = [&](auto const& f) {
    return support::message_of<mp::BrokenPipeError>([&] { remote.call(kCall, f); }) ==
           "Test.call: the manager's process has ended";
  };
  CHECK(is_told([](int&) { ::raise(SIGKILL); }));
  CHECK(is_told([](int&) {}));
  std::jthread([&] { CHECK(is_told([](int&) {})); }).join();  // one that has no pipe to it
}

TEST_CASE("a server that is killed before it has accepted is not waited for", "[client]") {
  Running server;
  server.child.stop();
  support::RawChild client([&] {
    try {
      Remote<int>::create(kCall, server.address, 0);
      return 1;
    } catch (mp::BrokenPipeError const&) {
      return 0;
    }
  });
  support::wait_until_asleep(client.pid());
  server.child.kill();
  server.child.wait();
  CHECK(client.exitcode() == 0);
}

TEST_CASE("a forked child makes a way of its own", "[client]") {
  Running server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  support::RawChild child([&] {
    for (int i = 0; i < 100; ++i) remote.call(kCall, [](int& x) { ++x; });
  });
  for (int i = 0; i < 100; ++i) remote.call(kCall, [](int& x) { ++x; });
  CHECK(child.exitcode() == 0);
  CHECK(remote.call(kCall, [](int& x) { return x; }) == 200);
}

TEST_CASE("a killed client harms nobody, and what it alone had goes", "[client]") {
  Running server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  support::Pipe up;
  support::RawChild client([&] {
    auto const own = Remote<std::string>::create(kCall, server.address, std::string(100, 'x'));
    up.tell();
    for (;;) remote.call(kCall, [](int& x) { ++x; });
  });
  up.hear();
  client.kill();
  client.wait();
  CHECK(remote.call(kCall, [](int& x) { return x; }) >= 0);
  auto const objects = [&] {
    return remote.call(kCall, [](int&) { return Server::of_this_process()->objects().size(); });
  };
  while (objects() != 1) {  // its thread has not heard of it yet
  }
}

TEST_CASE("what was not sent changes nothing, and what is too large is told", "[client]") {
  Running server;
  auto const remote = Remote<std::string>::create(kCall, server.address, std::string("a"));
  CHECK_THROWS_AS(remote.call(
                      kCall, [](std::string& text, Refuses const&) { text = "b"; }, Refuses()),
                  std::runtime_error);
  CHECK(remote.call(kCall, [](std::string& text) { return text; }) == "a");
  std::string const large(20 << 20, 'x');
  CHECK(remote.call(
            kCall, [](std::string& text, std::string more) { return text += more; }, large) ==
        "a" + large);
}

TEST_CASE("threads of a client do not wait for each other's slow calls", "[client]") {
  Running server;
  auto const slow = Remote<int>::create(kCall, server.address, 0);
  auto const quick = Remote<int>::create(kCall, server.address, 0);
  support::Pipe const go;
  int const reader = go.reader.get();
  std::jthread caller([&] {
    slow.call(kCall, [reader](int&) {
      char c = 0;
      return ::read(reader, &c, 1) == 1;
    });
  });
  for (int i = 0; i < 100; ++i) quick.call(kCall, [](int& x) { ++x; });
  go.tell();
}

}  // namespace client_test
