// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/connector.hpp>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <multiprocessing/channel/acceptor.hpp>

#include "../support/catch.hpp"
#include "../support/cryptography.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace connector_test {

namespace mp = multiprocessing;
namespace channel = mp::channel;
namespace os = mp::os;
using channel::Acceptor;
using channel::Kind;
using mp::base::Deadline;
using namespace std::chrono_literals;

namespace {

auto connect(mp::Address const& address, mp::AuthKey const& key = {},
             Deadline deadline = Deadline::never()) {
  return channel::connect(address, AF_UNSPEC, key, deadline);
}

}  // namespace

TEST_CASE("without a key a connection is there before it is accepted", "[connector]") {
  Acceptor acceptor(mp::Address::random(), {});
  auto const client = connect(acceptor.address());
  client->send(Kind::Bytes, 0, {});
  CHECK(acceptor.accept(Deadline::never())->receive(Deadline::never()));
}

TEST_CASE("with a key it waits to be accepted, until its deadline", "[connector]") {
  support::WithCryptography const with(support::any_cryptography());
  Acceptor const acceptor(mp::Address::random(), {.key = "key"});
  auto const deadline = Deadline::after(20ms);
  CHECK_THROWS_AS(connect(acceptor.address(), "key", deadline), mp::TimeoutError);
  CHECK(deadline.passed());
}

TEST_CASE("a full backlog is waited for until the deadline", "[connector]") {
  Acceptor const acceptor(mp::Address::random(), {.backlog = 0});
  auto const first = connect(acceptor.address());
  CHECK_THROWS_AS(connect(acceptor.address(), {}, Deadline::after(20ms)), mp::TimeoutError);
}

TEST_CASE("nobody there is a refused connection", "[connector]") {
  try {
    connect(mp::Address::random());
    FAIL("connected");
  } catch (std::system_error const& error) {
    CHECK(error.code() == std::errc::connection_refused);
  }
  CHECK_THROWS_AS(connect("/no/such/path"), std::system_error);
}

TEST_CASE("a listener that ends before it has accepted is an end of file", "[connector]") {
  support::WithCryptography const with(support::any_cryptography());
  auto const address = mp::Address::random();
  auto listening = os::listen_at(address.resolve(AF_UNIX).front(), 1);
  support::RawChild child([&] {
    listening.reset();
    try {
      connect(address, "key");
    } catch (mp::EOFError const&) {
      return 0;
    }
    return 1;
  });
  os::poll_readable(listening.get(), Deadline::never());
  listening.reset();
  CHECK(child.wait() == 0);
}

TEST_CASE("a listener without a key learns that the client has one", "[connector]") {
  support::WithCryptography const with(support::any_cryptography());
  Acceptor acceptor(mp::Address::random(), {});
  std::jthread const client(
      [&] { CHECK_THROWS_AS(connect(acceptor.address(), "key"), mp::EOFError); });
  auto const stream = acceptor.accept(Deadline::never());
  CHECK_THROWS_AS(stream->receive(Deadline::never()), mp::AuthenticationError);
  stream->close();
}

TEST_CASE("who has no key learns that the listener has one", "[connector]") {
  support::WithCryptography const with(support::any_cryptography());
  Acceptor acceptor(mp::Address::random(), {.key = "key"});
  auto const client = connect(acceptor.address());
  CHECK_FALSE(acceptor.accept(Deadline::after(0s)));
  CHECK_THROWS_AS(client->receive(Deadline::never()), mp::AuthenticationError);
}

TEST_CASE("a host with several addresses is reached by the one that answers", "[connector]") {
  support::WithCryptography const with(support::any_cryptography());
  Acceptor acceptor("127.0.0.1:0", {.key = "key"});
  std::jthread const accepting([&] { acceptor.accept(Deadline::never()); });
  auto const port = acceptor.address().str().substr(acceptor.address().str().rfind(':'));
  CHECK(connect("localhost" + port, "key"));  // perhaps [::1] comes first
}

TEST_CASE("no address is told as such", "[connector]") {
  CHECK(support::message_of<std::invalid_argument>([] {
          channel::connect({}, AF_UNSPEC, {}, Deadline::never());
        }) == "connect: no address was given");
}

TEST_CASE("a stranger's proof, and no key over TCP, are refused before anybody is asked",
          "[connector]") {
  support::WithCryptography const none(nullptr);
  CHECK_THROWS_AS(connect("127.0.0.1:1", {}), std::invalid_argument);
  CHECK_THROWS_AS(connect("127.0.0.1:1", "key"), std::invalid_argument);
}

}  // namespace connector_test
