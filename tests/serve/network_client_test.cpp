// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/network_client.hpp>

#include <chrono>
#include <memory>
#include <thread>

#include <multiprocessing/channel/acceptor.hpp>
#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace network_client_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::serve;
using namespace std::chrono_literals;
using mp::base::Deadline;

namespace {

/// Begins a session with who connects.
std::unique_ptr<channel::SocketStream> greet(channel::Acceptor& acceptor) {
  auto stream = acceptor.accept(Deadline::never());
  receive_network(*stream);
  auto reply = value_reply();
  wire::encode(reply, SessionKey{1, 2});
  send_network(*stream, reply);
  return stream;
}

}  // namespace

TEST_CASE("a server that does not answer is given up in time", "[network_client]") {
  channel::Acceptor const acceptor(mp::Address::random(), {});
  CHECK_THROWS_AS(NetworkClient({acceptor.address(), AF_UNSPEC, {}, 10ms}), mp::TimeoutError);
}

TEST_CASE("a connection that has ended is not used again", "[network_client]") {
  channel::Acceptor acceptor(mp::Address::random(), {});
  std::jthread server([&] {
    { auto const first = greet(acceptor); }
    auto const second = acceptor.accept(Deadline::never());
    receive_network(*second);
    send_network(*second, value_reply());
    receive_network(*second);
    auto reply = value_reply();
    wire::encode(reply, 7);
    send_network(*second, reply);
  });
  NetworkClient client({acceptor.address(), AF_UNSPEC, {}, {}});
  channel::Call const call{"Test", "call"};
  CHECK(support::message_of<mp::BrokenPipeError>([&] { client.call<int>(call, {}); }) ==
        "Test.call: the manager at \"" + acceptor.address().str() + "\" has ended the connection");
  CHECK(client.call<int>(call, {}) == 7);
}

TEST_CASE("a message of another program is refused", "[network_client]") {
  channel::Acceptor acceptor(mp::Address::random(), {});
  std::jthread server([&] {
    auto const stream = acceptor.accept(Deadline::never());
    receive_network(*stream);
    stream->send(channel::Kind::Bytes, 0, {});
  });
  CHECK_THROWS_AS(NetworkClient({acceptor.address(), AF_UNSPEC, {}, {}}), mp::UnpicklingError);
}

}  // namespace network_client_test
