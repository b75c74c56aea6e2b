// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/socket_stream.hpp>

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace socket_stream_test {

namespace mp = multiprocessing;
namespace channel = mp::channel;
namespace os = mp::os;
using channel::Kind;
using channel::SocketStream;
using mp::base::Deadline;
using namespace std::chrono_literals;
using support::bytes_of;
using support::text_of;

namespace {

Deadline const kNow = Deadline::after(0s);

/// The same tests over both: only TCP hands bytes over as it likes.
struct Streams {
  explicit Streams(support::Ends ends)
      : one(std::move(ends.first)), other(std::move(ends.second)) {}
  SocketStream one;
  SocketStream other;
};
struct Local : Streams {
  Local() : Streams(support::local_ends()) {}
};
struct Tcp : Streams {
  Tcp() : Streams(support::tcp_ends()) {}
};

std::string receive_text(SocketStream& stream) {
  return text_of(stream.receive(Deadline::never()).value().bytes);
}

std::string head(std::uint64_t size, std::uint32_t kind = 1) {
  std::string text = "\x70\x6d\x43\x01";
  text.append(reinterpret_cast<char const*>(&kind), sizeof kind);
  text.append(reinterpret_cast<char const*>(&size), sizeof size);
  text.append(8, '\0');
  return text;
}

std::string large_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

}  // namespace

TEMPLATE_TEST_CASE("messages arrive as they were sent, one by one", "[socket_stream]", Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  one.send(Kind::Value, 42, bytes_of("value"));
  one.send(Kind::Bytes, 0, bytes_of(""));
  one.send(Kind::Bytes, 0, bytes_of("bytes"));
  auto const value = other.receive(Deadline::never());
  REQUIRE(value);
  CHECK(value->kind == Kind::Value);
  CHECK(value->type == 42);
  CHECK(text_of(value->bytes) == "value");
  auto const empty = other.receive(Deadline::never());
  REQUIRE(empty);
  CHECK(empty->kind == Kind::Bytes);
  CHECK(empty->bytes.empty());
  CHECK(receive_text(other) == "bytes");
  other.send(Kind::Bytes, 0, bytes_of("back"));
  CHECK(receive_text(one) == "back");
}

TEMPLATE_TEST_CASE("messages of any size arrive whole", "[socket_stream]", Local, Tcp) {
  TestType streams;
  auto const sizes = {1UL, 1UL << 16, (1UL << 20) - 1, 1UL << 20, (1UL << 20) + 1, 20'000'000UL};
  std::jthread const sender([&] {
    for (auto const size : sizes) streams.one.send(Kind::Bytes, 0, bytes_of(large_text(size)));
  });
  for (auto const size : sizes) CHECK((receive_text(streams.other) == large_text(size)));
}

TEMPLATE_TEST_CASE("poll sees a message, also an empty one, and takes nothing", "[socket_stream]",
                   Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  auto const deadline = Deadline::after(20ms);
  CHECK_FALSE(other.poll(deadline));
  CHECK(deadline.passed());
  CHECK_FALSE(other.receive(kNow));
  one.send(Kind::Bytes, 0, {});
  CHECK(other.poll(Deadline::never()));
  CHECK(other.poll(kNow));
  CHECK(os::poll_readable(other.fileno(), kNow));
  CHECK(other.receive(kNow));
  CHECK_FALSE(other.poll(kNow));
}

TEMPLATE_TEST_CASE("a message that is too long stays", "[socket_stream]", Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  one.send(Kind::Bytes, 0, bytes_of("long"));
  one.send(Kind::Bytes, 0, bytes_of("next"));
  for (int i = 0; i < 2; ++i) {
    try {
      other.receive(Deadline::never(), 3);
      FAIL("nothing was thrown");
    } catch (mp::BufferTooShort const& error) {
      CHECK(error.size() == 4);
      CHECK_THAT(error.what(), ContainsSubstring("4 bytes, there is room for 3"));
    }
    CHECK(other.poll(Deadline::never()));
  }
  CHECK(text_of(other.receive(Deadline::never(), 4).value().bytes) == "long");
  CHECK(receive_text(other) == "next");
}

TEMPLATE_TEST_CASE("a message that comes in pieces loses nothing to deadlines", "[socket_stream]",
                   Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  auto const whole = head(3) + "abc";
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    support::send_raw(one.fileno(), whole.substr(i, 1));
    CHECK(other.poll(Deadline::never()));
    CHECK_FALSE(other.receive(kNow));
    CHECK_FALSE(other.poll(kNow));
  }
  support::send_raw(one.fileno(), "c");
  CHECK(receive_text(other) == "abc");
}

TEMPLATE_TEST_CASE("what was sent is read before the end of file", "[socket_stream]", Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  one.send(Kind::Bytes, 0, bytes_of("last"));
  one.close();
  CHECK(receive_text(other) == "last");
  CHECK(other.poll(Deadline::never()));
  for (int i = 0; i < 2; ++i) {
    CHECK(support::message_of<mp::EOFError>([&] { other.receive(Deadline::never()); }) ==
          "receive: the other end is closed");
  }
}

TEMPLATE_TEST_CASE("an end in the middle of a message is told", "[socket_stream]", Local, Tcp) {
  for (auto const& part : {head(4).substr(0, 1), head(4), head(4) + "abc"}) {
    TestType streams;
    auto& one = streams.one;
    auto& other = streams.other;
    support::send_raw(one.fileno(), part);
    one.close();
    for (int i = 0; i < 2; ++i) {
      CHECK_THAT(support::message_of<mp::EOFError>([&] { other.receive(Deadline::never()); }),
                 ContainsSubstring("in the middle of a message"));
    }
  }
}

TEMPLATE_TEST_CASE("sending to nobody is a broken pipe", "[socket_stream]", Local, Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  other.close();
  auto const send_until_refused = [&] {
    for (;;) one.send(Kind::Bytes, 0, bytes_of(large_text(1 << 16)));
  };
  CHECK_THROWS_AS(send_until_refused(), mp::BrokenPipeError);
  CHECK_THROWS_AS(one.send(Kind::Bytes, 0, {}), mp::BrokenPipeError);
}

TEST_CASE("a killed process is the end of file for its peer", "[socket_stream]") {
  auto ends = support::local_ends();
  support::Pipe ready;
  support::RawChild child([&] {
    ends.first.reset();
    SocketStream stream(std::move(ends.second));
    stream.send(Kind::Bytes, 0, bytes_of("here"));
    ready.tell();
    stream.receive(Deadline::never());
  });
  ends.second.reset();
  SocketStream stream(std::move(ends.first));
  ready.hear();
  child.kill();
  child.wait();
  CHECK(receive_text(stream) == "here");
  CHECK_THROWS_AS(stream.receive(Deadline::never()), mp::EOFError);
  CHECK_THROWS_AS(stream.send(Kind::Bytes, 0, {}), mp::BrokenPipeError);
}

TEMPLATE_TEST_CASE("a message that its deadline cuts off is the last", "[socket_stream]", Local,
                   Tcp) {
  TestType streams;
  auto& one = streams.one;
  auto& other = streams.other;
  auto const deadline = Deadline::after(20ms);
  auto const much = large_text(50'000'000);
  CHECK_THAT(support::message_of<mp::TimeoutError>(
                 [&] { one.send(Kind::Bytes, 0, bytes_of(much), deadline); }),
             ContainsSubstring("in the middle"));
  CHECK(deadline.passed());
  CHECK_THROWS_AS(one.send(Kind::Bytes, 0, {}), mp::BrokenPipeError);
  CHECK_THAT(support::message_of<mp::EOFError>([&] { other.receive(Deadline::never()); }),
             ContainsSubstring("in the middle of a message"));
  other.send(Kind::Bytes, 0, bytes_of("back"));
  CHECK(receive_text(one) == "back");
}

TEST_CASE("a message for which there was no room in time may be sent again", "[socket_stream]") {
  Local streams;
  auto& one = streams.one;
  auto& other = streams.other;
  int sent = 0;
  CHECK_THROWS_AS(
      [&] {
        for (;; ++sent) one.send(Kind::Bytes, 0, bytes_of("first"), kNow);
      }(),
      mp::TimeoutError);
  auto const deadline = Deadline::after(20ms);
  CHECK_THROWS_AS(one.send(Kind::Bytes, 0, {}, deadline), mp::TimeoutError);
  CHECK(deadline.passed());
  std::jthread const sender([&] { one.send(Kind::Bytes, 0, bytes_of("again")); });
  for (int i = 0; i < sent; ++i) receive_text(other);
  CHECK(receive_text(other) == "again");
}

TEST_CASE("garbage is no message, and costs no memory", "[socket_stream]") {
  for (auto const& garbage :
       {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string(24, '\0'), head(1, 0),
        head(1, 4), head(SocketStream::kMostBytes + 1)}) {
    Local streams;
    support::send_raw(streams.one.fileno(), garbage);
    for (int i = 0; i < 2; ++i) {
      CHECK_THROWS_AS(streams.other.receive(Deadline::never()), mp::UnpicklingError);
    }
  }
}

TEST_CASE("a head that promises much uses memory only as bytes come", "[socket_stream]") {
  Local streams;
  support::send_raw(streams.one.fileno(), head(std::uint64_t{1} << 33) + "abc");
  streams.one.close();
  // Addresses for it may be there or not; it is not written to.
  try {
    streams.other.receive(Deadline::never());
    FAIL("nothing was thrown");
  } catch (mp::EOFError const&) {
  } catch (std::bad_alloc const&) {
  }
}

TEST_CASE("a proof where a message should be is an authentication error", "[socket_stream]") {
  Local streams;
  streams.one.send(Kind::Handshake, 1, bytes_of("challenge"));
  CHECK_THROWS_AS(streams.other.receive(Deadline::never()), mp::AuthenticationError);
  streams.one.send(Kind::Handshake, 1, bytes_of("challenge"));
  CHECK(streams.other.receive_any(Deadline::never()).value().kind == Kind::Handshake);
}

TEST_CASE("a closed stream refuses all use", "[socket_stream]") {
  Local streams;
  auto& one = streams.one;
  one.close();
  one.close();
  CHECK(one.closed());
  CHECK(one.fileno() == -1);
  CHECK_THAT(support::message_of<std::system_error>([&] { one.send(Kind::Bytes, 0, {}); }),
             ContainsSubstring("the connection is closed"));
  CHECK_THROWS_AS(one.receive(Deadline::never()), std::system_error);
  CHECK_THROWS_AS(one.poll(Deadline::never()), std::system_error);
}

TEST_CASE("close ends the calls of other threads", "[socket_stream]") {
  Local streams;
  auto& one = streams.one;
  std::atomic<int> thrown = 0;
  auto const throws = [&](auto const& action) {
    try {
      action();
    } catch (std::system_error const&) {
      ++thrown;
    }
  };
  {
    std::jthread const receiver([&] { throws([&] { one.receive(Deadline::never()); }); });
    std::jthread const next([&] { throws([&] { one.receive(Deadline::never()); }); });
    std::jthread const poller([&] { throws([&] { one.poll(Deadline::never()); }); });
    std::jthread const sender(
        [&] { throws([&] { one.send(Kind::Bytes, 0, bytes_of(large_text(50'000'000))); }); });
    streams.other.poll(Deadline::never());  // the sender is in the middle
    one.close();
  }
  CHECK(thrown == 4);
}

TEST_CASE("several threads may send and receive at once", "[socket_stream]") {
  Local streams;
  constexpr int kThreads = 3;
  constexpr int kMessages = 300;
  std::atomic<int> whole = 0;
  std::array<std::atomic<int>, kThreads> seen{};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kMessages; ++i) {
          std::string const text(static_cast<std::size_t>(1 + i * 97), static_cast<char>('a' + t));
          streams.one.send(Kind::Bytes, 0, bytes_of(text));
        }
      });
      threads.emplace_back([&] {
        for (int i = 0; i < kMessages; ++i) {
          auto const text = receive_text(streams.other);
          if (text == std::string(text.size(), text.front())) ++whole;
          ++seen[static_cast<std::size_t>(text.front() - 'a')];
        }
      });
    }
  }
  CHECK(whole == kThreads * kMessages);
  for (auto const& count : seen) CHECK(count == kMessages);
}

TEST_CASE("a deadline ends also the wait for others who receive", "[socket_stream]") {
  Local streams;
  std::jthread const first([&] { streams.other.receive(Deadline::never()); });
  CHECK_FALSE(streams.other.receive(Deadline::after(20ms)));
  streams.one.send(Kind::Bytes, 0, {});
}

TEMPLATE_TEST_CASE("a storm of signals loses nothing", "[socket_stream]", Local, Tcp) {
  TestType streams;
  support::SignalStorm const storm;
  std::jthread const sender([&] {
    for (int i = 0; i < 100; ++i) {
      streams.one.send(Kind::Bytes, 0, bytes_of(large_text(static_cast<std::size_t>(i) * 10'000)));
    }
  });
  bool all_right = true;
  for (int i = 0; i < 100; ++i) {
    all_right = all_right &&
                receive_text(streams.other) == large_text(static_cast<std::size_t>(i) * 10'000);
  }
  CHECK(all_right);
  while (storm.count() == 0) std::this_thread::yield();
}

TEST_CASE("a hang-up ends the connection also where others hold it", "[socket_stream]") {
  Local streams;
  support::RawChild const holder([] { ::pause(); });
  streams.one.hang_up();
  CHECK_THROWS_AS(streams.other.receive(Deadline::never()), mp::EOFError);
}

}  // namespace socket_stream_test
