// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fd_message.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <span>
#include <system_error>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace os = multiprocessing::os;

namespace fd_message_test {

std::array<std::byte, 3> const kText{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

TEST_CASE("bytes and descriptors arrive together, close-on-exec", "[fd_message]") {
  auto const before = support::open_fds();
  {
    auto const pair = os::SocketPair::create();
    support::Pipe pipe;
    std::array const fds{pipe.writer.get(), pipe.reader.get()};
    os::send_with_fds(pair.near, kText, fds);
    pipe.writer.reset();
    std::array<std::byte, 8> room{};
    auto received = os::receive_with_fds(pair.far, room);
    REQUIRE(received.size == 3);
    CHECK(room[2] == std::byte{'c'});
    REQUIRE(received.fds.size() == 2);
    CHECK((::fcntl(received.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(::write(received.fds[0].get(), "x", 1) == 1);
    CHECK(pipe.hear() == 'x');
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("messages keep their boundaries, also without descriptors", "[fd_message]") {
  auto const pair = os::SocketPair::create();
  os::send_with_fds(pair.near, std::span(kText).first(1));
  os::send_with_fds(pair.near, kText);
  std::array<std::byte, 8> room{};
  CHECK(os::receive_with_fds(pair.far, room).size == 1);
  CHECK(os::receive_with_fds(pair.far, room).size == 3);
}

TEST_CASE("a side that is gone ends it", "[fd_message]") {
  auto pair = os::SocketPair::create();
  os::send_with_fds(pair.near, kText);
  pair.near.reset();
  std::array<std::byte, 8> room{};
  CHECK(os::receive_with_fds(pair.far, room).size == 3);
  CHECK(os::receive_with_fds(pair.far, room).size == 0);
  CHECK_THROWS_AS(os::send_with_fds(pair.far, kText), std::system_error);
}

TEST_CASE("what a side has sent arrives, though it read nothing and is gone", "[fd_message]") {
  auto pair = os::SocketPair::create();
  os::send_with_fds(pair.near, kText);
  os::send_with_fds(pair.far, std::span(kText).first(2));
  pair.far.reset();
  std::array<std::byte, 8> room{};
  CHECK(os::receive_with_fds(pair.near, room).size == 2);
  CHECK(os::receive_with_fds(pair.near, room).size == 0);
}

TEST_CASE("a process that may not have so many descriptors has the bytes, and none of them",
          "[fd_message]") {
  auto const pair = os::SocketPair::create();
  support::Pipe const pipe;
  std::array const fds{pipe.writer.get(), pipe.reader.get()};
  os::send_with_fds(pair.near, kText, fds);
  support::RawChild child([&] {
    int const next = ::dup(0);
    ::close(next);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit const one_left{static_cast<rlim_t>(next) + 1, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &one_left);
    std::array<std::byte, 8> room{};
    auto const message = os::receive_with_fds(pair.far, room);
    bool const is_told = message.size == 3 && message.is_cut && message.fds.empty();
    ::setrlimit(RLIMIT_NOFILE, &before);
    int const now = ::dup(0);
    return is_told && now == next ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

}  // namespace fd_message_test
