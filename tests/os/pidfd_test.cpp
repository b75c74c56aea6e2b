// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/pidfd.hpp>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using State = os::ChildEnd::State;

namespace {
os::ChildEnd end_of(pid_t pid, os::Fd const& pidfd) {
  os::poll_readable(pidfd.get(), Deadline::never());
  return os::reap_child(pidfd, pid);
}
}  // namespace

TEST_CASE("a child is reaped once, and tells its exit code", "[pidfd]") {
  support::Pipe go;
  pid_t const pid = ::fork();
  if (pid == 0) ::_exit(go.hear() == '.' ? 7 : 1);
  auto const pidfd = os::open_pidfd(pid);
  CHECK(os::reap_child(pidfd, pid).state == State::Running);
  go.tell();
  auto const end = end_of(pid, pidfd);
  CHECK(end.state == State::Ended);
  CHECK(end.code == CLD_EXITED);
  CHECK(end.status == 7);
  CHECK(os::reap_child(pidfd, pid).state == State::Stolen);
  CHECK_FALSE(os::send_signal(pidfd, pid, SIGTERM));
}

TEST_CASE("a killed child tells the signal", "[pidfd]") {
  pid_t const pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  auto const pidfd = os::open_pidfd(pid);
  CHECK(os::send_signal(pidfd, pid, SIGKILL));
  auto const end = end_of(pid, pidfd);
  CHECK(end.code == CLD_KILLED);
  CHECK(end.status == SIGKILL);
}

TEST_CASE("a child that was reaped elsewhere is reported as stolen", "[pidfd]") {
  pid_t const pid = ::fork();
  if (pid == 0) ::_exit(0);
  auto const pidfd = os::open_pidfd(pid);
  ::waitpid(pid, nullptr, 0);
  CHECK(os::reap_child(pidfd, pid).state == State::Stolen);
}

TEST_CASE("a pidfd of nobody names the pid", "[pidfd]") {
  auto const text = support::message_of<std::system_error>([] { os::open_pidfd(0x3fffffff); });
  CHECK_THAT(text, ContainsSubstring("pidfd_open(1073741823)"));
}

TEST_CASE("without a pidfd a child is signalled and reaped by its pid", "[pidfd]") {
  pid_t const pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  os::Fd const none;
  CHECK(os::reap_child(none, pid).state == State::Running);
  CHECK(os::send_signal(none, pid, SIGKILL));
  auto end = os::reap_child(none, pid);
  while (end.state == State::Running) end = os::reap_child(none, pid);
  CHECK(end.status == SIGKILL);
}
