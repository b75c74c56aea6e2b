// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/network_server.hpp>

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>

#include <multiprocessing/channel/connector.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/serve/network_client.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace network_server_test {

namespace mp = multiprocessing;
namespace channel = multiprocessing::channel;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::serve;
using mp::base::Deadline;
using Verb = NetworkRequest::Verb;

namespace {

struct Counter {
  int add(int n) { return value += n; }
  int value = 0;
};

std::shared_ptr<ExposedTypes const> types() {
  auto all = std::make_shared<ExposedTypes>();
  auto& type = all->add(describe_type<Counter>("Counter", Exclusion::OneCallAtATime));
  type.methods.emplace("add", describe_method<Counter>(&Counter::add, type.exclusion));
  return all;
}

/// In a thread.
struct Running {
  NetworkServer server{types(), mp::Address::random(), {}};
  std::jthread thread{[this] { server.run(std::chrono::seconds(0)); }};
  ~Running() { server.close(); }

  std::unique_ptr<channel::SocketStream> connect() const {
    return channel::connect(server.address(), AF_UNSPEC, {}, Deadline::never());
  }
};

wire::Bytes request_of(Verb verb, std::uint64_t object = 0, std::string name = {},
                       Signature signature = {}) {
  NetworkRequest request;
  request.verb = verb;
  request.object = object;
  request.name = std::move(name);
  request.signature = signature;
  return NetworkClient::encoded(request);
}

template <class Result>
Result ask(channel::SocketStream& stream, wire::Bytes const& request) {
  send_network(stream, request);
  auto const reply = receive_network(stream);
  auto value = value_of(reply);
  return take_foreign<Result>(value);
}

}  // namespace

TEST_CASE("a session makes an object, calls it and drops it", "[network_server]") {
  Running const running;
  auto const stream = running.connect();
  ask<SessionKey>(*stream, request_of(Verb::Begin));
  auto const number =
      ask<std::uint64_t>(*stream, request_of(Verb::Make, 0, "Counter", Signature::of<void>()));
  auto call = request_of(Verb::Call, number, "add", Signature::of<int, int>());
  wire::encode(call, 5);
  CHECK(ask<int>(*stream, call) == 5);
  CHECK(ask<int>(*stream, call) == 10);
  send_network(*stream, request_of(Verb::Release, number));
  CHECK(support::message_of<mp::Error>([&] { ask<int>(*stream, call); }) == "the object has gone");
}

TEST_CASE("an object of one session is none of another's", "[network_server]") {
  Running const running;
  auto const mine = running.connect();
  auto const theirs = running.connect();
  auto const key = ask<SessionKey>(*mine, request_of(Verb::Begin));
  ask<SessionKey>(*theirs, request_of(Verb::Begin));
  auto const number =
      ask<std::uint64_t>(*mine, request_of(Verb::Make, 0, "Counter", Signature::of<void>()));
  auto call = request_of(Verb::Call, number, "add", Signature::of<int, int>());
  wire::encode(call, 5);
  CHECK_THROWS_AS(ask<int>(*theirs, call), mp::Error);
  auto const second = running.connect();
  NetworkRequest join;
  join.verb = Verb::Join;
  join.session = key;
  send_network(*second, NetworkClient::encoded(join));
  receive_network(*second);
  CHECK(ask<int>(*second, call) == 5);
}

TEST_CASE("a connection that does not begin with a session is ended", "[network_server]") {
  Running const running;
  auto const stream = running.connect();
  CHECK_THROWS_AS(ask<int>(*stream, request_of(Verb::Make, 0, "Counter")), mp::UnpicklingError);
  CHECK_THROWS_AS(receive_network(*stream), mp::EOFError);
}

TEST_CASE("a key that was guessed joins nothing", "[network_server]") {
  Running const running;
  auto const stream = running.connect();
  CHECK(support::message_of<mp::Error>([&] { ask<int>(*stream, request_of(Verb::Join)); }) ==
        "the session has ended, and its objects have gone");
}

TEST_CASE("arguments that are none are refused, and nothing is called", "[network_server]") {
  Running const running;
  auto const stream = running.connect();
  ask<SessionKey>(*stream, request_of(Verb::Begin));
  auto const number =
      ask<std::uint64_t>(*stream, request_of(Verb::Make, 0, "Counter", Signature::of<void>()));
  auto const bare = request_of(Verb::Call, number, "add", Signature::of<int, int>());
  CHECK_THROWS_AS(ask<int>(*stream, bare), mp::UnpicklingError);
  auto call = bare;
  wire::encode(call, 0);
  CHECK(ask<int>(*stream, call) == 0);
}

TEST_CASE("whatever bytes come, the server serves others", "[network_server]") {
  Running const running;
  auto call = request_of(Verb::Call, 1, "add", Signature::of<int, int>());
  wire::encode(call, 5);
  wire::Bytes const templates[] = {
      request_of(Verb::Begin), request_of(Verb::Make, 0, "Counter", Signature::of<void>()), call,
      request_of(Verb::Release, 1), request_of(static_cast<Verb>(77))};
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    auto const stream = running.connect();
    try {
      ask<SessionKey>(*stream, request_of(Verb::Begin));
      for (int k = 0; k < 10; ++k) {
        auto bytes = templates[random() % std::size(templates)];
        for (auto changes = random() % 4; changes != 0; --changes) {
          bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        }
        bytes.resize(bytes.size() - random() % 2);
        send_network(*stream, bytes);
      }
    } catch (mp::Error const&) {  // it was turned away
    }
  }
  auto const stream = running.connect();
  ask<SessionKey>(*stream, request_of(Verb::Begin));
  CHECK(ask<std::uint64_t>(*stream, request_of(Verb::Make, 0, "Counter", Signature::of<void>())) ==
        1);
}

}  // namespace network_server_test
