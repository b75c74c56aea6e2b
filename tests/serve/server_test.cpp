// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/server.hpp>

#include <unistd.h>

#include <system_error>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/serve/client.hpp>
#include <multiprocessing/serve/remote.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"
#include "../support/mailbox.hpp"
#include "../support/running_server.hpp"

namespace server_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
namespace channel = multiprocessing::channel;
using namespace multiprocessing::serve;
using support::kCall;
using support::RunningServer;

TEST_CASE("a server has begun when it says so, and ends when it is shut down", "[server]") {
  RunningServer server;
  CHECK(server.address.state->process != 0);
  CHECK_FALSE(server.address.state->has_ended());
  CHECK(Server::of_this_process() == nullptr);
  auto const remote = Remote<int>::create(kCall, server.address, 5);
  CHECK(remote.call(kCall, [](int& x) { return x; }) == 5);
  server.shut_down();
  CHECK(server.child.wait() == 0);
  CHECK(server.address.state->has_ended());
  CHECK(support::message_of<mp::BrokenPipeError>([&] { remote.call(kCall, [](int&) {}); }) ==
        "Test.call: the manager's process has ended");
}

TEST_CASE("an address arrives as the same one", "[server]") {
  auto const address = ServerAddress::make();
  auto const arrived = support::parcelled(address);
  CHECK(arrived.id() == address.id());
  CHECK(arrived.reception == address.reception);
}

TEST_CASE("a server that has not begun has not ended", "[server]") {
  CHECK_FALSE(ServerAddress::make().state->has_ended());
}

TEST_CASE("a call that runs is answered before the server ends", "[server]") {
  // The server has them from its birth.
  support::Pipe const begun;
  support::Pipe const go;
  RunningServer server;
  auto const remote = Remote<int>::create(kCall, server.address, 0);
  std::jthread caller([&, writer = begun.writer.get(), reader = go.reader.get()] {
    auto const wait = [writer, reader](int& x) {
      char c = '.';
      return ::write(writer, &c, 1) == 1 && ::read(reader, &c, 1) == 1 ? ++x : -1;
    };
    CHECK(remote.call(kCall, wait) == 1);
  });
  begun.hear();
  server.shut_down();
  // Whoever comes is refused once its main thread waits for the call alone.
  std::jthread([&] {
    CHECK_THROWS_AS(
        [&] {
          for (;;) Remote<int>::create(kCall, server.address, 0);
        }(),
        mp::BrokenPipeError);
  }).join();
  go.tell();
  caller.join();
  CHECK(server.child.wait() == 0);
}

TEST_CASE("threads that end leave no thread in the server", "[server]") {
  RunningServer server;
  auto const threads_of_server = [&] {
    return Remote<int>::create(kCall, server.address, 0).call(kCall, [](int&) {
      return mp::os::thread_count();
    });
  };
  for (int i = 0; i < 20; ++i) {
    std::jthread([&] { Remote<int>::create(kCall, server.address, 0); }).join();
  }
  // Those that have ended are let go when the next one comes.
  while (threads_of_server() > 4) std::jthread([&] { threads_of_server(); }).join();
}

TEST_CASE("objects in a server may have each other, and call each other there", "[server]") {
  RunningServer server;
  auto const inner = Remote<int>::create(kCall, server.address, 5);
  auto const outer = Remote<Remote<int>>::create(kCall, server.address, inner);
  CHECK(outer.call(kCall, [](Remote<int>& its) {
    return its.call(kCall, [](int& x) { return ++x; });
  }) == 6);
  CHECK(inner.call(kCall, [](int& x) { return x; }) == 6);
}

TEST_CASE("a call that would wait for itself is told", "[server]") {
  RunningServer server;
  struct Holder {
    std::vector<Remote<Holder>> self;
  };
  auto const remote = Remote<Holder>::create(kCall, server.address);
  remote.call(
      kCall, [](Holder& its, Remote<Holder> self) { its.self.push_back(self); }, remote);
  CHECK_THROWS_AS(
      remote.call(kCall, [](Holder& its) { its.self.front().call(kCall, [](Holder&) {}); }),
      std::system_error);
  remote.call(kCall, [](Holder& its) { its.self.clear(); });
}

}  // namespace server_test
