// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/remote.hpp>

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include <multiprocessing/os/resident_memory.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/mailbox.hpp"
#include "../support/running_server.hpp"

namespace remote_test {

namespace channel = multiprocessing::channel;
using namespace multiprocessing::serve;
using support::kCall;
using support::RunningServer;

namespace {

/// How many objects there are but `own`, which the server is asked by.
std::size_t objects_but(Remote<int> const& own) {
  return own.call(kCall, [](int&) { return Server::of_this_process()->objects().size(); }) - 1;
}

}  // namespace

TEST_CASE("the object goes with its last handle, wherever that is", "[remote]") {
  RunningServer server;
  auto const own = Remote<int>::create(kCall, server.address, 0);
  using Text = Remote<std::string>;
  auto first = std::make_unique<Text>(Text::create(kCall, server.address, std::string("a")));
  auto copy = std::make_unique<Text>(*first);
  auto arrived = std::make_unique<Text>(support::parcelled(*first));
  CHECK(*arrived == *first);
  first.reset();
  CHECK(objects_but(own) == 1);
  copy.reset();
  CHECK(objects_but(own) == 1);
  CHECK(arrived->call(kCall, [](std::string& text) { return text; }) == "a");
  arrived.reset();
  CHECK(objects_but(own) == 0);
}

TEST_CASE("objects that are made and dropped leave nothing", "[remote]") {
  RunningServer server;
  auto const own = Remote<int>::create(kCall, server.address, 0);
  long const count =
      support::setting("MULTIPROCESSING_TEST_OBJECTS", support::kSanitized ? 2'000 : 20'000);
  auto const memory = [&] {
    return own.call(kCall, [](int&) { return multiprocessing::os::resident_memory(::getpid()); });
  };
  for (long i = 0; i < count / 10; ++i) {
    Remote<std::string>::create(kCall, server.address, std::string(1000, 'x'));
  }
  auto const before = memory();
  for (long i = 0; i < count; ++i) {
    Remote<std::string>::create(kCall, server.address, std::string(1000, 'x'));
  }
  CHECK(objects_but(own) == 0);
  if (support::kSanitized) return;  // which keeps what is freed for a while
  CHECK(memory() <= before + (std::uint64_t{4} << 20));
}

}  // namespace remote_test
