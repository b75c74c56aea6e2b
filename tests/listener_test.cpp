// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/listener.hpp>

#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.hpp"
#include "support/cryptography.hpp"
#include "support/helpers.hpp"
#include "support/sockets.hpp"

namespace listener_test {

namespace mp = multiprocessing;
namespace channel = mp::channel;
using channel::Kind;
using mp::base::Deadline;
using namespace std::chrono_literals;
using support::bytes_of;
using support::text_of;

namespace {

struct WithCryptography {
  support::WithCryptography const with{support::any_cryptography()};
};

std::string receive_text(std::unique_ptr<channel::SocketStream> const& stream) {
  return text_of(stream->receive(Deadline::never()).value().bytes);
}

/// A client in another process says "hello", and hears "back".
void talk(mp::Listener& listener, mp::AuthKey const& key) {
  support::RawChild client([&] {
    auto const stream = mp::connect_stream({.address = listener.address(), .authkey = key});
    stream->send(Kind::Bytes, 0, bytes_of("hello"));
    return receive_text(stream) == "back" ? 0 : 1;
  });
  auto const stream = listener.accept_stream(Deadline::never());
  CHECK(receive_text(stream) == "hello");
  stream->send(Kind::Bytes, 0, bytes_of("back"));
  CHECK(client.wait() == 0);
}

std::string own_path() {
  return "/tmp/multiprocessing-test-" + std::to_string(::getpid()) + ".sock";
}

}  // namespace

TEST_CASE("processes talk over every kind of address", "[listener]") {
  WithCryptography const with;
  SECTION("none given") {
    mp::Listener listener;
    talk(listener, {});
    CHECK(listener.last_accepted().empty());
  }
  SECTION("none given, with a key") {
    mp::Listener listener({.authkey = "key"});
    talk(listener, "key");
  }
  SECTION("an empty key") {
    mp::Listener listener({.authkey = ""});
    talk(listener, "");
  }
  SECTION("an abstract name") {
    mp::Listener listener({.address = mp::Address::random()});
    talk(listener, {});
  }
  SECTION("a path") {
    mp::Listener listener({.address = own_path(), .authkey = "key"});
    CHECK(listener.address() == own_path());
    talk(listener, "key");
  }
  SECTION("a TCP port") {
    mp::Listener listener({.authkey = "key", .family = AF_INET});
    CHECK_THAT(listener.address().str(), ContainsSubstring("127.0.0.1:"));
    CHECK(listener.address() != "127.0.0.1:0");
    talk(listener, "key");
    CHECK_THAT(listener.last_accepted(), ContainsSubstring("127.0.0.1:"));
    CHECK(listener.last_accepted() != listener.address().str());
  }
}

TEST_CASE("a wrong key is an error on both sides, and the listener lives on", "[listener]") {
  WithCryptography const with;
  mp::Listener listener({.authkey = "right"});
  {
    std::jthread const client([&] {
      CHECK_THROWS_AS(mp::connect_stream({.address = listener.address(), .authkey = "wrong"}),
                      mp::AuthenticationError);
    });
    CHECK_THROWS_AS(listener.accept_stream(Deadline::never()), mp::AuthenticationError);
  }
  talk(listener, "right");
}

TEST_CASE("a client gives up when its timeout is over", "[listener]") {
  WithCryptography const with;
  mp::Listener const listener({.authkey = "key"});
  CHECK_THROWS_AS(
      mp::connect_stream({.address = listener.address(), .authkey = "key", .timeout = 20ms}),
      mp::TimeoutError);
}

TEST_CASE("nobody listens twice at one address", "[listener]") {
  WithCryptography const with;
  for (auto const& address : {mp::Address(own_path()), mp::Address::random(AF_INET)}) {
    mp::Listener const listener({.address = address, .authkey = "key"});
    try {
      mp::Listener({.address = listener.address(), .authkey = "key"});
      FAIL("listens");
    } catch (std::system_error const& error) {
      CHECK(error.code() == std::errc::address_in_use);
    }
  }
}

TEST_CASE("an address is free again as soon as its listener is closed", "[listener]") {
  WithCryptography const with;
  for (mp::Address address : {mp::Address(own_path()), mp::Address::random(AF_INET)}) {
    for (int i = 0; i < 3; ++i) {
      mp::Listener listener({.address = address, .authkey = "key"});
      address = listener.address();
      talk(listener, "key");
    }
  }
}

TEST_CASE("a path that a killed listener left behind is in use", "[listener]") {
  support::Pipe ready;
  auto const path = own_path();
  support::RawChild child([&] {
    mp::Listener const listener({.address = path});
    ready.tell();
    ::pause();
  });
  ready.hear();
  child.kill();
  child.wait();
  CHECK_THROWS_AS(mp::Listener({.address = path}), std::system_error);
  ::unlink(path.c_str());
  CHECK(mp::Listener({.address = path}).address().is_path());
}

TEST_CASE("a closed listener refuses, and tells so", "[listener]") {
  mp::Listener listener;
  CHECK(listener.fileno() >= 0);
  CHECK_FALSE(listener.closed());
  listener.close();
  listener.close();
  CHECK(listener.closed());
  CHECK(listener.fileno() == -1);
  CHECK_THAT(
      support::message_of<std::system_error>([&] { listener.accept_stream(Deadline::never()); }),
      ContainsSubstring("the listener is closed"));
  CHECK_THROWS_AS(mp::connect_stream({.address = listener.address()}), std::system_error);
}

TEST_CASE("a connection outlives its listener, and an accepted end sees what was sent before",
          "[listener]") {
  auto listener = std::make_unique<mp::Listener>();
  auto client = mp::connect_stream({.address = listener->address()});
  client->send(Kind::Bytes, 0, bytes_of("early"));
  client.reset();
  auto const stream = listener->accept_stream(Deadline::never());
  listener.reset();
  CHECK(stream->poll(Deadline::after(0s)));
  CHECK(receive_text(stream) == "early");
  CHECK_THROWS_AS(stream->receive(Deadline::never()), mp::EOFError);
}

TEST_CASE("a listener tells by its descriptor that somebody came", "[listener]") {
  mp::Listener const listener;
  CHECK_FALSE(mp::os::poll_readable(listener.fileno(), Deadline::after(0s)));
  auto const client = mp::connect_stream({.address = listener.address()});
  CHECK(mp::os::poll_readable(listener.fileno(), Deadline::never()));
}

TEST_CASE("a listener can be moved", "[listener]") {
  mp::Listener first;
  mp::Listener listener(std::move(first));
  talk(listener, {});
}

TEST_CASE("what is not safe, or makes no sense, is refused by its name", "[listener]") {
  auto const refusal = [](mp::ListenerOptions const& options) {
    return support::message_of<std::invalid_argument>([&] { mp::Listener{options}; });
  };
  CHECK_THAT(refusal({.address = "127.0.0.1:0"}), ContainsSubstring("TCP needs an authkey"));
  CHECK_THAT(refusal({.family = 12345}), ContainsSubstring("not recognized"));
  CHECK_THAT(refusal({.address = "/tmp/x", .family = AF_INET}),
             ContainsSubstring("no address of the family"));
  support::WithCryptography const none(nullptr);
  CHECK_THAT(refusal({.authkey = "key"}), ContainsSubstring("multiprocessing::authentication"));
  CHECK_THROWS_AS(mp::connect_stream({}), std::invalid_argument);
}

TEST_CASE("an idle listener uses no processor time", "[listener]") {
  WithCryptography const with;
  support::RawChild child([] {
    mp::Listener listener({.authkey = "key"});
    auto const silent =
        mp::os::connect_to(listener.address().resolve(AF_UNIX).front(), Deadline::never());
    listener.accept_stream(Deadline::after(1h));
  });
  CHECK(support::comes_to_rest([&] { return support::used_time_of(child.pid()); }));
}

}  // namespace listener_test
