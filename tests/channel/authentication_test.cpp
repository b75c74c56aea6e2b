// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/authentication.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../support/catch.hpp"
#include "../support/cryptography.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace authentication_test {

namespace mp = multiprocessing;
namespace channel = mp::channel;
using channel::Handshake;
using channel::Kind;
using channel::SocketStream;
using mp::base::Deadline;
using Role = Handshake::Role;
using namespace std::chrono_literals;
using support::bytes_of;
using support::text_of;

namespace {

constexpr std::uint64_t kChallenge = 0x6d702d61757401;
constexpr std::uint64_t kAnswer = kChallenge + 1;
constexpr std::uint64_t kRefusal = kChallenge + 2;

/// One who proves by the rules, and the bare stream of the other side.
struct Half {
  support::WithCryptography const with{support::any_cryptography()};
  support::Ends ends = support::local_ends();
  Handshake handshake;
  SocketStream other{std::move(ends.second)};

  explicit Half(Role role, std::string key = "key")
      : handshake(role, std::make_unique<SocketStream>(std::move(ends.first)), std::move(key)) {}

  channel::Message hear() { return other.receive_any(Deadline::never()).value(); }
  void say(std::uint64_t step, std::string const& text) {
    other.send(Kind::Handshake, step, bytes_of(text));
  }
  std::string refusal() {
    return support::message_of<mp::AuthenticationError>([&] {
      while (!handshake.advance()) {
      }
    });
  }
};

/// Both sides by the rules, in turns.
struct Both {
  support::WithCryptography const with{support::any_cryptography()};
  support::Ends ends = support::local_ends();
  Handshake listener;
  Handshake client;

  Both(std::string listeners_key, std::string clients_key)
      : listener(Role::Listener, std::make_unique<SocketStream>(std::move(ends.first)),
                 std::move(listeners_key)),
        client(Role::Client, std::make_unique<SocketStream>(std::move(ends.second)),
               std::move(clients_key)) {}
};

}  // namespace

TEST_CASE("a key may be given as text or bytes, and be empty", "[authentication]") {
  CHECK_FALSE(mp::AuthKey().is_there());
  CHECK(mp::AuthKey("").is_there());
  CHECK(mp::AuthKey("key").bytes() == "key");
  CHECK(mp::AuthKey(std::string("\0k", 2)).bytes() == std::string("\0k", 2));
  CHECK(mp::AuthKey(bytes_of("key")).bytes() == "key");
  CHECK(mp::AuthKey(mp::AuthKey("key")).bytes() == "key");
}

TEST_CASE("two who know the key prove it, and can talk", "[authentication]") {
  for (auto const& key : {std::string("secret"), std::string(), std::string("\0\xff", 2)}) {
    Both both(key, key);
    CHECK_FALSE(both.client.advance());  // has answered
    CHECK(both.listener.advance());
    CHECK(both.client.advance());
    auto const client = both.client.take_stream();
    auto const listener = both.listener.take_stream();
    client->send(Kind::Bytes, 0, bytes_of("hello"));
    CHECK(text_of(listener->receive(Deadline::never()).value().bytes) == "hello");
  }
}

TEST_CASE("a wrong key is an error for both sides", "[authentication]") {
  for (auto const& [one, other] : {std::pair("right", "wrong"), {"", "x"}, {"x", ""}}) {
    Both both(one, other);
    CHECK_FALSE(both.client.advance());
    CHECK_THAT(support::message_of<mp::AuthenticationError>([&] { both.listener.advance(); }),
               ContainsSubstring("does not know the key"));
    CHECK_THAT(support::message_of<mp::AuthenticationError>([&] { both.client.advance(); }),
               ContainsSubstring("keys differ"));
  }
}

TEST_CASE("nothing that the key was used for is told to who has not proved it",
          "[authentication]") {
  Half half(Role::Listener);
  CHECK(half.hear().type == kChallenge);
  half.say(kChallenge, std::string(32, 'c'));
  CHECK_FALSE(half.handshake.advance());
  CHECK_FALSE(half.other.poll(Deadline::after(0s)));
}

TEST_CASE("no two challenges are the same", "[authentication]") {
  Half one(Role::Listener);
  Half other(Role::Listener);
  auto const challenge = one.hear();
  CHECK(challenge.kind == Kind::Handshake);
  CHECK(challenge.bytes.size() == 32);
  CHECK(challenge.bytes != other.hear().bytes);
}

TEST_CASE("what is sent back as it came proves nothing", "[authentication]") {
  auto const role = GENERATE(Role::Listener, Role::Client);
  Half half(role);
  auto const challenge = text_of(half.hear().bytes);
  half.say(kChallenge, challenge);  // so that both challenges are the same
  CHECK_FALSE(half.handshake.advance());
  // A client answers now, a listener never before it knows; its answer is the client's no more.
  half.say(kAnswer, role == Role::Client ? text_of(half.hear().bytes) : challenge);
  CHECK_THAT(half.refusal(), ContainsSubstring("does not know the key"));
}

TEST_CASE("an answer of another connection proves nothing", "[authentication]") {
  // One whom a client took for its listener, and who goes on to the real one.
  Half thief(Role::Client);
  thief.say(kChallenge, std::string(32, 'c'));
  CHECK_FALSE(thief.handshake.advance());
  thief.hear();
  auto const answer = text_of(thief.hear().bytes);
  Half real(Role::Listener);
  real.say(kChallenge, std::string(32, 'c'));
  real.say(kAnswer, answer);
  CHECK_THAT(real.refusal(), ContainsSubstring("does not know the key"));
}

TEST_CASE("who does not play by the rules is refused, told, and hung up on", "[authentication]") {
  auto const role = GENERATE(Role::Listener, Role::Client);
  std::string const challenge(32, 'c');
  std::string const much(257, 'x');
  Half half(role);
  CHECK(half.hear().type == kChallenge);
  std::string expected;
  bool is_told = true;

  SECTION("a message") {
    half.other.send(Kind::Bytes, kChallenge, bytes_of(challenge));
    expected = "sent a message before any proof";
  }
  SECTION("a message behind the challenge") {
    half.say(kChallenge, challenge);
    half.other.send(Kind::Value, 1, bytes_of("value"));
    expected = "sent a message before any proof";
  }
  SECTION("a challenge that is too short") {
    half.say(kChallenge, challenge.substr(1));
    expected = "did not begin with a challenge";
  }
  SECTION("an answer at once") {
    half.say(kAnswer, challenge);
    expected = "did not begin with a challenge";
  }
  SECTION("a second challenge") {
    half.say(kChallenge, challenge);
    half.say(kChallenge, challenge);
    expected = "did not answer a challenge";
  }
  SECTION("an answer that is too short") {
    half.say(kChallenge, challenge);
    half.say(kAnswer, "");
    expected = "did not answer a challenge";
  }
  SECTION("more than a proof needs") {
    half.say(kChallenge, much);
    expected = "sent more than a proof needs";
  }
  SECTION("only the promise of more") {
    support::send_raw(half.other.fileno(), std::string("\x70\x6d\x43\x01\x03\0\0\0", 8) +
                                               std::string("\0\0\0\0\x01\0\0\0", 8) +
                                               std::string(8, '\0'));
    expected = "sent more than a proof needs";
  }
  SECTION("garbage") {
    support::send_raw(half.other.fileno(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expected = "sent something that is no message";
  }
  SECTION("a refusal") {
    half.say(kRefusal, "");
    expected = "keys differ";
    is_told = false;
  }
  CHECK_THAT(half.refusal(), ContainsSubstring(expected));
  if (!is_told) return;
  auto last = half.hear();
  if (last.type == kAnswer) last = half.hear();  // a client's
  CHECK(last.type == kRefusal);
  CHECK_THROWS_AS(half.other.receive(Deadline::never()), mp::EOFError);
}

TEST_CASE("who hangs up before the proof is an end of file", "[authentication]") {
  auto const role = GENERATE(Role::Listener, Role::Client);
  SECTION("at once") {
    Half half(role);
    half.hear();
    half.other.close();
    CHECK_THROWS_AS(half.handshake.advance(), mp::EOFError);
  }
  SECTION("in the middle") {
    Half half(role);
    half.hear();
    half.say(kChallenge, std::string(32, 'c'));
    CHECK_FALSE(half.handshake.advance());
    if (role == Role::Client) half.hear();
    half.other.close();
    CHECK_THROWS_AS(half.handshake.advance(), mp::EOFError);
  }
  SECTION("before the beginning") {
    support::WithCryptography const with(support::any_cryptography());
    auto ends = support::local_ends();
    ends.second.reset();
    CHECK_THROWS_AS(Handshake(role, std::make_unique<SocketStream>(std::move(ends.first)), "key"),
                    mp::EOFError);
  }
}

TEST_CASE("who does not receive is refused without a wait", "[authentication]") {
  support::WithCryptography const with(support::any_cryptography());
  auto ends = support::local_ends();
  auto stream = std::make_unique<SocketStream>(std::move(ends.first));
  CHECK_THROWS_AS(
      [&] {
        for (;;) stream->send(Kind::Bytes, 0, {}, Deadline::after(0s));
      }(),
      mp::TimeoutError);
  CHECK_THROWS_AS(Handshake(Role::Listener, std::move(stream), "key"), mp::AuthenticationError);
}

TEST_CASE("without cryptography a key is refused, by the name of what is missing",
          "[authentication]") {
  support::WithCryptography const none(nullptr);
  CHECK_THAT(
      support::message_of<std::invalid_argument>([] { channel::require_proof(true, "key"); }),
      ContainsSubstring("multiprocessing::authentication"));
  channel::require_proof(true, {});
}

TEST_CASE("TCP without a key is refused", "[authentication]") {
  CHECK_THAT(support::message_of<std::invalid_argument>([] { channel::require_proof(false, {}); }),
             ContainsSubstring("TCP needs an authkey"));
}

TEST_CASE("without a key the other side has to be the same user", "[authentication]") {
  auto const [one, other] = support::local_ends();
  channel::check_peer_user(one.get());
}

}  // namespace authentication_test
