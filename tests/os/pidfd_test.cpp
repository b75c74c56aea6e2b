// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/pidfd.hpp>

#include <sys/resource.h>

#include <fstream>
#include <thread>

#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace pidfd_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using State = os::ChildEnd::State;

namespace {
os::ChildEnd end_of(pid_t pid, os::Fd const& pidfd) {
  os::poll_readable(pidfd.get(), Deadline::never());
  return os::reap_child(pidfd, pid);
}

/// Returns once `child` is a zombie.
void wait_for_zombie(support::RawChild const& child) {
  siginfo_t info;
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT) == 0);
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

TEST_CASE("the clock of starts counts ticks since the machine's", "[pidfd]") {
  auto const before = os::ticks_since_boot();
  double uptime = 0;
  std::ifstream("/proc/uptime") >> uptime;
  auto const after = os::ticks_since_boot();
  CHECK(before > 0);
  CHECK(before <= after);
  auto const ticks = uptime * static_cast<double>(::sysconf(_SC_CLK_TCK));
  CHECK(static_cast<double>(before) <= ticks + 1);  // that file has two digits
  CHECK(ticks <= static_cast<double>(after) + 1);
}

TEST_CASE("a process has begun before it is asked whatever its name", "[pidfd]") {
  auto const mine = os::stat_of(::getpid());
  REQUIRE(mine.has_value());
  CHECK(mine->state == 'R');
  CHECK(mine->start_time > 0);
  auto const before = os::ticks_since_boot();
  CHECK(mine->start_time <= before);
  support::Pipe named;
  support::RawChild child([&] {
    os::set_command_name("a) S 1 (b) 2");
    named.tell();
    for (;;) ::pause();
  });
  named.hear();
  support::wait_until_asleep(child.pid());
  auto const its = os::stat_of(child.pid());
  REQUIRE(its.has_value());
  CHECK(its->state == 'S');
  CHECK(its->start_time >= before);
  CHECK(its->start_time <= os::ticks_since_boot());
  child.kill();
  wait_for_zombie(child);
  CHECK(os::stat_of(child.pid())->state == 'Z');
  CHECK_FALSE(os::stat_of(0x3fffffff).has_value());
}

TEST_CASE("a process runs until it is a zombie", "[pidfd]") {
  support::Pipe end;
  support::RawChild child([&] { end.hear(); });
  auto const seen_at = os::ticks_since_boot();
  CHECK(os::is_running(child.pid(), seen_at));
  end.tell();
  wait_for_zombie(child);
  CHECK_FALSE(os::is_running(child.pid(), seen_at));
  pid_t const pid = child.pid();
  child.wait();
  CHECK_FALSE(os::is_running(pid, seen_at));
}

TEST_CASE("a process runs as long as any of its threads", "[pidfd]") {
  support::Pipe only_one_left;
  support::Pipe end;
  support::RawChild child([&] {
    pid_t const first = ::getpid();
    std::thread([&, first] {
      support::wait_for_state(first, "Z");
      only_one_left.tell();
      end.hear();
      ::_exit(0);
    }).detach();
    ::syscall(SYS_exit, 0);  // the thread alone
  });
  only_one_left.hear();
  CHECK(os::is_running(child.pid(), os::ticks_since_boot()));
  end.tell();
  wait_for_zombie(child);
  CHECK_FALSE(os::is_running(child.pid(), os::ticks_since_boot()));
}

TEST_CASE("who has begun after it was seen is somebody else", "[pidfd]") {
  auto const start = os::stat_of(::getpid())->start_time;
  CHECK(os::is_running(::getpid(), os::ticks_since_boot()));
  CHECK(os::is_running(::getpid(), start));
  CHECK_FALSE(os::is_running(::getpid(), start - 1));
  CHECK_FALSE(os::is_running(::getpid(), 0));
}

TEST_CASE("what is no process does not run", "[pidfd]") {
  auto const now = os::ticks_since_boot();
  for (pid_t const pid : {0x3fffffff, 0, -1}) CHECK_FALSE(os::is_running(pid, now));
}

TEST_CASE("the number of a thread is nobody's pid", "[pidfd]") {
  support::Pipe begun;
  support::Pipe end;
  pid_t id = 0;
  std::thread thread([&] {
    id = static_cast<pid_t>(::syscall(SYS_gettid));
    begun.tell();
    end.hear();
  });
  begun.hear();
  CHECK_FALSE(os::is_running(id, os::ticks_since_boot()));
  end.tell();
  thread.join();
}

TEST_CASE("without a descriptor to spare a process is not taken for dead", "[pidfd]") {
  support::RawChild child([] {
    rlimit const none{0, 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    return os::is_running(::getpid(), os::ticks_since_boot()) ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

}  // namespace pidfd_test
