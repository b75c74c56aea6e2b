// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/socket.hpp>

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/sockets.hpp"

namespace socket_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;
using support::accept_one;

namespace {

os::SocketAddress any_port() { return *os::SocketAddress::numeric("127.0.0.1", 0); }
os::SocketAddress own_name() {
  static int count = 0;
  return os::SocketAddress::abstract("multiprocessing-test-" + std::to_string(::getpid()) + "-" +
                                     std::to_string(++count));
}

os::Transferred send_text(os::Fd const& socket, std::string text) {
  iovec part{text.data(), text.size()};
  return os::send_some(socket.get(), {&part, 1});
}

int error_of(auto const& action) {
  try {
    action();
  } catch (std::system_error const& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("what connects is accepted, and told from where", "[socket]") {
  auto const listening = os::listen_at(any_port(), 1);
  CHECK_FALSE(os::accept_from(listening.get()));
  auto const one = os::connect_to(os::local_address(listening), Deadline::never());
  os::poll_readable(listening.get(), Deadline::never());
  auto const accepted = os::accept_from(listening.get());
  REQUIRE(accepted);
  CHECK(accepted->peer.text() == os::local_address(one).text());
}

TEST_CASE("sockets are close-on-exec and block by default", "[socket]") {
  for (auto const& address : {any_port(), own_name()}) {
    auto const listening = os::listen_at(address, 1);
    auto const one = os::connect_to(os::local_address(listening), Deadline::after(10s));
    auto const other = accept_one(listening);
    for (auto const* socket : {&listening, &one, &other}) {
      CHECK(::fcntl(socket->get(), F_GETFD) == FD_CLOEXEC);
    }
    CHECK((::fcntl(one.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(other.get(), F_GETFL) & O_NONBLOCK) == 0);
  }
}

TEST_CASE("a socket never takes the place of a closed standard stream", "[socket]") {
  support::RawChild child([] {
    ::close(STDIN_FILENO);
    auto const listening = os::listen_at(any_port(), 1);
    return listening.get() > STDERR_FILENO ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("an address in use is refused, and free once its listener is gone", "[socket]") {
  for (auto const& address : {any_port(), own_name()}) {
    auto listening = os::listen_at(address, 1);
    auto const place = os::local_address(listening);
    CHECK(error_of([&] { os::listen_at(place, 1); }) == EADDRINUSE);
    {
      auto const one = os::connect_to(place, Deadline::never());
      accept_one(listening);  // closed first: over TCP this side remembers it for a while
    }
    listening.reset();
    CHECK(os::listen_at(place, 1));
  }
}

TEST_CASE("nobody there is told from a full house", "[socket]") {
  auto const address = own_name();
  CHECK(error_of([&] { os::connect_to(address, Deadline::never()); }) == ECONNREFUSED);
  auto listening = os::listen_at(address, 0);
  auto const first = os::connect_to(address, Deadline::never());
  auto const deadline = Deadline::after(20ms);
  CHECK_FALSE(os::connect_to(address, deadline));
  CHECK(deadline.passed());

  SECTION("a place that becomes free is taken") {
    std::jthread const accepting([&] { accept_one(listening); });
    CHECK(os::connect_to(address, Deadline::after(60s)));
  }
  SECTION("the end of the listener ends the wait") {
    support::RawChild child([&] {
      listening.reset();
      return error_of([&] { os::connect_to(address, Deadline::never()); }) == ECONNREFUSED ? 0 : 1;
    });
    support::wait_until_asleep_or_ended(child.pid());
    listening.reset();
    CHECK(child.wait() == 0);
  }
}

TEST_CASE("a TCP port without a listener refuses", "[socket]") {
  auto listening = os::listen_at(any_port(), 1);
  auto const place = os::local_address(listening);
  listening.reset();
  CHECK(error_of([&] { os::connect_to(place, Deadline::after(60s)); }) == ECONNREFUSED);
}

TEST_CASE("connecting survives a storm of signals", "[socket]") {
  auto const address = own_name();
  auto const listening = os::listen_at(address, 0);
  auto const first = os::connect_to(address, Deadline::never());
  support::SignalStorm const storm;
  for (auto const deadline : {Deadline::after(60s), Deadline::never()}) {
    std::jthread const accepting([&] { accept_one(listening); });
    CHECK(os::connect_to(address, deadline));
  }
}

TEST_CASE("bytes arrive; nothing there, and nobody there, are told", "[socket]") {
  for (auto make : {support::local_ends, support::tcp_ends}) {
    auto [one, other] = make();
    std::byte room[8];
    CHECK(os::receive_some(other.get(), room).result == os::Transfer::WouldBlock);
    auto const sent = send_text(one, "text");
    CHECK(sent.result == os::Transfer::Some);
    CHECK(sent.bytes == 4);
    os::poll_readable(other.get(), Deadline::never());
    auto const received = os::receive_some(other.get(), room);
    CHECK(received.result == os::Transfer::Some);
    CHECK(received.bytes == 4);
    other.reset();
    os::poll_readable(one.get(), Deadline::never());
    CHECK(os::receive_some(one.get(), room).result == os::Transfer::PeerGone);
    static_cast<void>(
        send_text(one, "nobody"));  // over TCP this asks for the answer that nobody is there
    pollfd entry{.fd = one.get(), .events = 0, .revents = 0};
    os::poll_until({&entry, 1}, Deadline::never());  // POLLHUP or POLLERR
    CHECK(send_text(one, "nobody").result == os::Transfer::PeerGone);
  }
}

TEST_CASE("a full socket takes a part, then nothing", "[socket]") {
  auto const [one, other] = support::local_ends();
  std::string const much(1 << 24, 'x');
  auto const sent = send_text(one, much);
  CHECK(sent.result == os::Transfer::Some);
  CHECK(sent.bytes < much.size());
  auto last = sent;
  while (last.result == os::Transfer::Some) last = send_text(one, much);
  CHECK(last.result == os::Transfer::WouldBlock);
}

TEST_CASE("the other end of a local connection belongs to a user", "[socket]") {
  auto const [one, other] = support::local_ends();
  CHECK(os::peer_user(one.get()) == os::this_user());
}

TEST_CASE("a connection can be ended for all who hold it", "[socket]") {
  std::byte room[8];
  auto const [one, other] = support::local_ends();
  support::RawChild const holder([] { ::pause(); });
  SECTION("for sending") {
    os::end_sending(one.get());
    CHECK(os::receive_some(other.get(), room).result == os::Transfer::PeerGone);
    CHECK(send_text(other, "still").result == os::Transfer::Some);
  }
  SECTION("altogether") {
    os::end_connection(one.get());
    CHECK(os::receive_some(other.get(), room).result == os::Transfer::PeerGone);
    CHECK(send_text(other, "no more").result == os::Transfer::PeerGone);
  }
}

TEST_CASE("a file is told from another that takes its path", "[socket]") {
  std::string const path = "/tmp/multiprocessing-test-" + std::to_string(::getpid());
  CHECK_FALSE(os::file_identity(path.c_str()));
  auto const listening = os::listen_at(os::SocketAddress::path(path), 1);
  auto const first = os::file_identity(path.c_str());
  CHECK(first);
  CHECK(os::file_identity(path.c_str()) == first);
  os::remove_file(path);
  auto const next = os::listen_at(os::SocketAddress::path(path), 1);
  CHECK(os::file_identity(path.c_str()) != first);
  os::remove_file(path);
}

}  // namespace socket_test
