// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/network_request.hpp>

#include <chrono>
#include <span>
#include <stdexcept>
#include <utility>

#include <multiprocessing/errors.hpp>

#include "../support/bytes.hpp"
#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace network_request_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::serve;

TEST_CASE("a request arrives as it was", "[network_request]") {
  NetworkRequest request;
  request.verb = NetworkRequest::Verb::Call;
  request.session = {1, 2};
  request.object = 3;
  request.name = "name";
  request.type = "type";
  request.signature = Signature::of<int, long>();
  wire::Bytes bytes;
  wire::encode(bytes, request);
  std::span<std::byte const> rest = bytes;
  auto const arrived = take_foreign<NetworkRequest>(rest);
  CHECK(arrived.verb == request.verb);
  CHECK(arrived.session == request.session);
  CHECK(arrived.object == request.object);
  CHECK(arrived.name == request.name);
  CHECK(arrived.type == request.type);
  CHECK(arrived.signature == request.signature);
}

TEST_CASE("messages of this protocol pass, others do not", "[network_request]") {
  auto [a, b] = support::local_ends();
  channel::SocketStream mine(std::move(a));
  channel::SocketStream theirs(std::move(b));
  send_network(mine, support::bytes_of("text"));
  CHECK(support::text_of(receive_network(theirs)) == "text");
  mine.send(channel::Kind::Value, kNetworkProtocol + 1, support::bytes_of("text"));
  CHECK_THROWS_AS(receive_network(theirs), mp::UnpicklingError);
  mine.send(channel::Kind::Bytes, kNetworkProtocol, support::bytes_of("text"));
  CHECK_THROWS_AS(receive_network(theirs), mp::UnpicklingError);
  CHECK_THROWS_AS(receive_network(theirs, mp::base::Deadline::now()), mp::TimeoutError);
}

TEST_CASE("a reply brings a value, or the exception that was handled", "[network_request]") {
  auto reply = value_reply();
  wire::encode(reply, 5);
  auto value = value_of(reply);
  CHECK(take_foreign<int>(value) == 5);
  try {
    throw std::out_of_range("no such place");
  } catch (std::exception const&) {
    reply = exception_reply();
  }
  CHECK(support::message_of<std::out_of_range>([&] { value_of(reply); }) == "no such place");
  CHECK_THROWS_AS(value_of({}), mp::UnpicklingError);
}

}  // namespace network_request_test
