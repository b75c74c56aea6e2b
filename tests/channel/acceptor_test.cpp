// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/acceptor.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/channel/connector.hpp>

#include "../support/catch.hpp"
#include "../support/cryptography.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace acceptor_test {

namespace mp = multiprocessing;
namespace channel = mp::channel;
namespace os = mp::os;
using channel::Acceptor;
using channel::Kind;
using mp::base::Deadline;
using namespace std::chrono_literals;
using support::bytes_of;

namespace {

struct Cryptic {
  support::WithCryptography const with{support::any_cryptography()};
};
/// That of an acceptor with a key: for a while, or as good as for ever.
struct WithKey : Cryptic {
  Acceptor acceptor;
  explicit WithKey(Deadline::Clock::duration proof_time = 1h)
      : acceptor(mp::Address::random(), {.key = "key", .proof_time = proof_time}) {}

  os::Fd connect_raw() const {
    return os::connect_to(acceptor.address().resolve(AF_UNIX).front(), Deadline::never());
  }
  std::unique_ptr<channel::SocketStream> connect(std::string const& key = "key") const {
    return channel::connect(acceptor.address(), AF_UNSPEC, key, Deadline::never());
  }
  std::string refusal() {
    return support::message_of<mp::AuthenticationError>(
        [&] { acceptor.accept(Deadline::never()); });
  }
  /// Whether one with the key comes in.
  bool lives_on() {
    std::jthread const client([&] { connect()->send(Kind::Bytes, 0, {}); });
    auto const stream = acceptor.accept(Deadline::never());
    return stream->receive(Deadline::never()).has_value();
  }
};

}  // namespace

TEST_CASE("who has a key is accepted", "[acceptor]") {
  WithKey with;
  CHECK(with.lives_on());
}

TEST_CASE("an accept ends at its deadline", "[acceptor]") {
  WithKey with;
  auto const deadline = Deadline::after(20ms);
  CHECK_FALSE(with.acceptor.accept(deadline));
  CHECK(deadline.passed());
  SECTION("also with somebody who says nothing") {
    auto const silent = with.connect_raw();
    CHECK_FALSE(with.acceptor.accept(Deadline::after(20ms)));
    CHECK(with.lives_on());
  }
}

TEST_CASE("one who says nothing is in nobody's way", "[acceptor]") {
  WithKey with;
  auto const silent = with.connect_raw();
  auto const half = with.connect_raw();
  support::send_raw(half.get(), "\x70\x6d");
  CHECK(with.lives_on());
  CHECK(with.lives_on());
}

TEST_CASE("one who says nothing is turned away when the time is over", "[acceptor]") {
  WithKey with(20ms);
  auto const silent = with.connect_raw();
  CHECK_THAT(with.refusal(), ContainsSubstring("did not prove in time"));
  channel::SocketStream stream(os::Fd(::dup(silent.get())));
  CHECK(stream.receive_any(Deadline::never()));  // the challenge
  CHECK(stream.receive_any(Deadline::never()));  // the refusal
  CHECK_THROWS_AS(stream.receive_any(Deadline::never()), mp::EOFError);
}

TEST_CASE("who has answered is let in, however late somebody accepts", "[acceptor]") {
  constexpr auto kProofTime = 20ms;
  WithKey with(kProofTime);
  channel::Handshake client(channel::Handshake::Role::Client,
                            std::make_unique<channel::SocketStream>(with.connect_raw()), "key");
  auto const accepted = with.acceptor.accept(Deadline::after(0s));  // its time begins
  CHECK(accepted == nullptr);
  CHECK_FALSE(client.advance());
  ::poll(nullptr, 0, 2 * kProofTime.count());
  CHECK(with.acceptor.accept(Deadline::never()));
  CHECK(client.advance());
}

TEST_CASE("a child that accepts leaves alone who proves to its parent", "[acceptor]") {
  WithKey with;
  channel::Handshake client(channel::Handshake::Role::Client,
                            std::make_unique<channel::SocketStream>(with.connect_raw()), "key");
  auto const accepted = with.acceptor.accept(Deadline::after(0s));
  CHECK(accepted == nullptr);
  CHECK_FALSE(client.advance());  // the answer is on its way
  support::RawChild child(
      [&] { return with.acceptor.accept(Deadline::after(0s)) == nullptr ? 0 : 1; });
  CHECK(child.wait() == 0);
  CHECK(with.acceptor.accept(Deadline::never()));
  CHECK(client.advance());
}

TEST_CASE("whoever does wrong is refused, and the listener lives on", "[acceptor]") {
  WithKey with;
  auto guest = with.connect_raw();
  SECTION("garbage") {
    support::send_raw(guest.get(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK_THAT(with.refusal(), ContainsSubstring("no message"));
  }
  SECTION("too much") {
    channel::SocketStream stream(std::move(guest));
    stream.send(Kind::Handshake, 0, bytes_of(std::string(10'000, 'x')));
    CHECK_THAT(with.refusal(), ContainsSubstring("more than a proof needs"));
  }
  SECTION("a message") {
    channel::SocketStream stream(std::move(guest));
    stream.send(Kind::Bytes, 0, bytes_of("hello"));
    CHECK_THAT(with.refusal(), ContainsSubstring("before any proof"));
  }
  SECTION("gone at once") {
    guest.reset();
    CHECK_THAT(with.refusal(), ContainsSubstring("hung up"));
  }
  SECTION("gone in the middle") {
    CHECK_FALSE(with.acceptor.accept(Deadline::after(0s)));
    guest.reset();
    CHECK_THAT(with.refusal(), ContainsSubstring("closed"));
  }
  SECTION("a wrong key") {
    std::jthread const client(
        [&] { CHECK_THROWS_AS(with.connect("wrong"), mp::AuthenticationError); });
    CHECK_THAT(with.refusal(), ContainsSubstring("does not know the key"));
  }
  CHECK(with.lives_on());
}

TEST_CASE("more than can prove at a time wait until others are done", "[acceptor]") {
  WithKey with(300ms);
  std::vector<os::Fd> silent;
  for (std::size_t i = 0; i < Acceptor::kMostProving; ++i) silent.push_back(with.connect_raw());
  std::jthread const client([&] { with.connect(); });
  std::size_t refused = 0;
  std::unique_ptr<channel::SocketStream> accepted;
  while (accepted == nullptr) {
    try {
      accepted = with.acceptor.accept(Deadline::never());
    } catch (mp::AuthenticationError const&) {
      ++refused;
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("close ends an accept in another thread", "[acceptor]") {
  WithKey with;
  auto const silent = with.connect_raw();
  std::string told;
  {
    std::jthread const accepting([&] {
      told =
          support::message_of<std::system_error>([&] { with.acceptor.accept(Deadline::never()); });
    });
    channel::SocketStream stream(os::Fd(::dup(silent.get())));
    stream.receive_any(Deadline::never());  // a challenge: somebody accepts
    with.acceptor.close();
  }
  CHECK_THAT(told, ContainsSubstring("the listener is closed"));
  CHECK(with.acceptor.fileno() == -1);
  CHECK_THROWS_AS(with.acceptor.accept(Deadline::never()), std::system_error);
}

TEST_CASE("several threads, and a child, may accept at once", "[acceptor]") {
  Acceptor acceptor(mp::Address::random(), {});
  support::RawChild child([&] { acceptor.accept(Deadline::never())->send(Kind::Bytes, 0, {}); });
  auto const connect = [&] {
    channel::connect(acceptor.address(), AF_UNSPEC, {}, Deadline::never())
        ->receive(Deadline::never());
  };
  connect();
  CHECK(child.wait() == 0);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { acceptor.accept(Deadline::never())->send(Kind::Bytes, 0, {}); });
  }
  for (int i = 0; i < 3; ++i) connect();
}

TEST_CASE("the path is removed by who made it, and only if it is still there", "[acceptor]") {
  std::string const path = "/tmp/multiprocessing-test-" + std::to_string(::getpid()) + ".sock";
  SECTION("not by a child") {
    Acceptor acceptor(path, {});
    support::RawChild child([&] { acceptor.close(); });
    child.wait();
    CHECK(os::file_identity(path.c_str()));
    acceptor.close();
    CHECK_FALSE(os::file_identity(path.c_str()));
  }
  SECTION("by the destructor") {
    { Acceptor const acceptor(path, {}); }
    CHECK_FALSE(os::file_identity(path.c_str()));
  }
  SECTION("not where another one has it") {
    Acceptor acceptor(path, {});
    os::remove_file(path);
    Acceptor const next(path, {});
    acceptor.close();
    CHECK(os::file_identity(path.c_str()));
  }
}

TEST_CASE("a storm of signals keeps nobody out", "[acceptor]") {
  WithKey with;
  support::SignalStorm const storm;
  for (int i = 0; i < 20; ++i) CHECK(with.lives_on());
  while (storm.count() == 0) std::this_thread::yield();
}

}  // namespace acceptor_test
