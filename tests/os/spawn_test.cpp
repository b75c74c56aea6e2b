// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/spawn.hpp>

#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <string>
#include <system_error>

#include <multiprocessing/os/fd_message.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace os = multiprocessing::os;

namespace spawn_test {

/// What a shell prints to descriptor 3.
std::string said_by(std::string const& script) {
  auto pair = os::SocketPair::create();
  auto const pid = os::spawn_program("/bin/sh", {"sh", "-c", script}, {"WHO=spawned"}, pair.far);
  pair.far.reset();
  std::string text;
  std::array<std::byte, 4096> room{};
  for (;;) {
    auto const message = os::receive_with_fds(pair.near, room);
    if (message.size == 0) break;
    text.append(reinterpret_cast<char const*>(room.data()), message.size);
  }
  ::waitpid(pid, nullptr, 0);
  return text;
}

TEST_CASE("a new program has the streams, the socket, and nothing else", "[spawn]") {
  support::Pipe const leaks;                                          // not close-on-exec
  CHECK(said_by("exec ls /proc/self/fd 1>&3") == "0\n1\n2\n3\n4\n");  // 4: of ls
  CHECK(said_by("cat <&0 >&3; echo $WHO >&3") == "spawned\n");
}

TEST_CASE("signals are neither blocked nor handled there", "[spawn]") {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  ::signal(SIGCHLD, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  auto const status = said_by("cat /proc/self/status >&3");
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGCHLD, SIG_DFL);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  auto const signals = [&](std::string const& label) {
    return std::stoull(status.substr(status.find(label) + label.size()), nullptr, 16);
  };
  CHECK(signals("SigBlk:") == 0);
  CHECK(signals("SigCgt:") == 0);
  CHECK((signals("SigIgn:") & (1U << (SIGCHLD - 1) | 1U << (SIGTERM - 1))) == 0);
}

TEST_CASE("a program that can not be run is told by name, and leaves nothing", "[spawn]") {
  auto const pair = os::SocketPair::create();
  auto const before = support::open_fds();
  try {
    os::spawn_program("/nowhere/program", {"program"}, {}, pair.far);
    FAIL("it ran");
  } catch (std::system_error const& error) {
    CHECK(error.code() == std::errc::no_such_file_or_directory);
    CHECK(std::string(error.what()).find("/nowhere/program") != std::string::npos);
  }
  CHECK(support::open_fds() == before);
}

}  // namespace spawn_test
