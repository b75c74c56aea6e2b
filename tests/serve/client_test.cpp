// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/client.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/serve/remote.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"
#include "../support/running_server.hpp"

namespace client_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
using namespace multiprocessing::serve;
using support::kCall;
using support::RunningServer;

namespace {

struct Refuses {
  template <class Archive>
  void save(Archive&) const {
    throw std::runtime_error("not me");
  }
  template <class Archive>
  void load(Archive&) {}
};

}  // namespace

TEST_CASE("a killed server ends calls that wait, and all that come", "[client]") {
  RunningServer server;
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
  RunningServer server;
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

TEST_CASE("a killed server is noticed by who waits, whoever has been forked meanwhile",
          "[client]") {
  for (int round = 0; round < 10; ++round) {
    RunningServer server;
    auto const remote = Remote<int>::create(kCall, server.address, 0);
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        CHECK_THROWS_AS(
            [&] {
              for (;;) remote.call(kCall, [](int& x) { ++x; });
            }(),
            mp::BrokenPipeError);
      });
    }
    std::vector<std::unique_ptr<support::RawChild>> others;  // may have any end that is made now
    for (int i = 0; i < 5; ++i) {
      others.push_back(std::make_unique<support::RawChild>([] { ::pause(); }));
    }
    server.child.kill();
    server.child.wait();
    callers.clear();
  }
}

TEST_CASE("proxies may outlive what their threads have", "[client]") {
  RunningServer server;
  support::RawChild child([&] {
    std::jthread([&] {
      static thread_local std::unique_ptr<Remote<int>> late;
      late = std::make_unique<Remote<int>>(Remote<int>::create(kCall, server.address, 7));
    }).join();
    static auto const last = Remote<int>::create(kCall, server.address, 8);
    std::atexit([] { std::_Exit(last.call(kCall, [](int& x) { return x; })); });
    std::exit(1);
  });
  CHECK(child.exitcode() == 8);
}

TEST_CASE("a copy that a call forks of the server answers nobody", "[client]") {
  RunningServer server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  for (int i = 1; i <= 20; ++i) {
    auto const fork = [](int& x) {
      ++x;
      static_cast<void>(::fork());
      return x;
    };
    CHECK(remote.call(kCall, fork) == i);
  }
  CHECK(remote.call(kCall, [](int& x) { return x; }) == 20);
}

TEST_CASE("a server that can make no more threads says so, and serves the others", "[client]") {
  if (support::kSanitized) return;  // its allocator wants addresses, too
  RunningServer server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  remote.call(kCall, [](int&) {
    constexpr rlim_t kSome = 4 << 20;  // for a message, not for the stack of a thread
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlim_t const addresses = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + kSome;
    rlimit const limit{addresses, addresses};
    ::setrlimit(RLIMIT_AS, &limit);
  });
  // More than there are stacks that the C library has kept.
  constexpr int kCallers = 20;
  std::atomic<int> refused{0};
  std::atomic<int> served{0};
  std::barrier all_have_called(kCallers);
  std::vector<std::jthread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      try {
        remote.call(kCall, [](int& x) { ++x; });
        ++served;
      } catch (std::system_error const& error) {
        if (error.code() == std::errc::resource_unavailable_try_again) ++refused;
      } catch (std::exception const&) {  // is counted nowhere
      }
      all_have_called.arrive_and_wait();
    });
  }
  callers.clear();
  CHECK(refused > 0);
  CHECK(refused + served == kCallers);
  CHECK(remote.call(kCall, [](int& x) { return x; }) == served);
}

TEST_CASE("a forked child makes a way of its own", "[client]") {
  RunningServer server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  support::RawChild child([&] {
    for (int i = 0; i < 100; ++i) remote.call(kCall, [](int& x) { ++x; });
  });
  for (int i = 0; i < 100; ++i) remote.call(kCall, [](int& x) { ++x; });
  CHECK(child.exitcode() == 0);
  CHECK(remote.call(kCall, [](int& x) { return x; }) == 200);
}

TEST_CASE("a killed client harms nobody, and what it alone had goes", "[client]") {
  RunningServer server;
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
  RunningServer server;
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
  RunningServer server;
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
