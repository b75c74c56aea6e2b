// SPDX-License-Identifier: BSL-1.0
// Small tools that several tests need.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <type_traits>
#include <utility>

#include <multiprocessing/base/sanitizers.hpp>
#include <multiprocessing/os/fd.hpp>

namespace support {

/// Every access is several instructions and addresses are taken in terabytes.
inline constexpr bool kSanitized =
    MULTIPROCESSING_ADDRESS_SANITIZER == 1 || MULTIPROCESSING_THREAD_SANITIZER == 1;

/// The text of the exception that `action` throws as `Expected`; "nothing" when it throws none.
template <class Expected, class Action>
std::string message_of(Action const& action) {
  try {
    action();
  } catch (Expected const& error) {
    return error.what();
  }
  return "nothing";
}

/// A kernel pipe: the plainest way to order what happens in two processes.
struct Pipe {
  multiprocessing::os::Fd reader;
  multiprocessing::os::Fd writer;

  Pipe() {
    int fds[2];
    if (::pipe(fds) != 0) std::abort();
    reader = multiprocessing::os::Fd(fds[0]);
    writer = multiprocessing::os::Fd(fds[1]);
  }

  void tell(char what = '.') const {
    if (::write(writer.get(), &what, 1) != 1) std::abort();
  }
  /// Blocks until told; '\0' when nobody can tell any more.
  char hear() const {
    char what = '\0';
    if (::read(reader.get(), &what, 1) < 0) std::abort();
    return what;
  }
  /// Everything up to the end of file. Closes the writer first.
  std::string drain() {
    writer.reset();
    std::string text;
    char buffer[256];
    for (ssize_t n; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
};

/// A Pipe for tasks in processes that need not be copies of the one that has it: a plain value.
struct PipeElsewhere {
  static PipeElsewhere of(Pipe const& pipe) {
    return {::getpid(), pipe.reader.get(), pipe.writer.get()};
  }

  void tell() const {
    auto const fd = open(writer, O_WRONLY);
    if (::write(fd.get(), ".", 1) != 1) std::abort();
  }
  void hear() const {
    auto const fd = open(reader, O_RDONLY);
    char what = '\0';
    if (::read(fd.get(), &what, 1) < 0) std::abort();
  }
  multiprocessing::os::Fd open(int number, int flags) const {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/fd/%d", owner, number);
    return multiprocessing::os::Fd(::open(path, flags));
  }

  pid_t owner;
  int reader;
  int writer;
};

/// Returns once the state in a directory of /proc is one of `states`, or it is gone.
inline void wait_for_state_in(std::string const& directory, std::string const& states) {
  for (;;) {
    std::ifstream file(directory + "/stat");
    std::string stat;
    std::getline(file, stat);
    if (stat.empty() || states.find(stat[stat.rfind(')') + 2]) != std::string::npos) return;
    ::sched_yield();
  }
}
inline void wait_for_state(pid_t pid, std::string const& states) {
  wait_for_state_in("/proc/" + std::to_string(pid), states);
}
/// Returns once `pid`, a child, sleeps in the kernel.
inline void wait_until_asleep(pid_t pid) { wait_for_state(pid, "S"); }
inline void wait_until_asleep_or_ended(pid_t pid) { wait_for_state(pid, "SZ"); }

/// Returns once `thread` of `process` has ended, or is a zombie.
inline void wait_until_gone(pid_t process, pid_t thread) {
  wait_for_state_in("/proc/" + std::to_string(process) + "/task/" + std::to_string(thread), "Z");
}

/// A bare child, made without the library: runs `body` and exits with what it returns, or 0.
class RawChild {
 public:
  template <class Body>
  explicit RawChild(Body const& body) : pid_(flush_and_fork()) {
    if (pid_ != 0) return;
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      ::_exit(0);
    } else {
      ::_exit(body());
    }
  }
  RawChild(RawChild const&) = delete;
  RawChild& operator=(RawChild const&) = delete;
  ~RawChild() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }

  pid_t pid() const { return pid_; }
  void kill() const { ::kill(pid_, SIGKILL); }
  /// Returns once it stands still.
  void stop() const {
    ::kill(pid_, SIGSTOP);
    wait_for_state(pid_, "T");
  }
  void go_on() const { ::kill(pid_, SIGCONT); }

  /// Somebody else has reaped it.
  void forget() { pid_ = -1; }
  /// The wait status.
  int wait() {
    int status = 0;
    auto const pid = std::exchange(pid_, -1);
    while (::waitpid(pid, &status, 0) == -1 && errno == EINTR) {  // in a storm of signals
    }
    return status;
  }
  /// The same, as Process::exitcode().
  int exitcode() {
    int const status = wait();
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  static pid_t flush_and_fork() {
    std::cout.flush();
    std::fflush(stdout);
    return ::fork();
  }

  pid_t pid_;
};

/// Kills a process that runs `body(up)` as soon as that has said `up.tell()`, and waits until all
/// that it has started is gone, too. Whether nobody has said any more.
template <class Body>
bool all_end_with_their_parent(Body const& body) {
  Pipe up;
  RawChild parent([&] {
    body(up);
    for (;;) ::pause();
    return 0;
  });
  if (up.hear() != '.') return false;
  parent.kill();
  parent.wait();
  return up.drain().empty();  // end of file: every process that held the pipe is gone
}

/// Kills `victim` once the process that calls this sleeps.
inline RawChild killer_of(pid_t victim) {
  return RawChild([victim] {
    wait_until_asleep(::getppid());
    ::kill(victim, SIGKILL);
  });
}

/// Whether what is summed up by `used_time()`, nanoseconds of processors, comes to rest.
template <class UsedTime>
bool comes_to_rest(UsedTime const& used_time) {
  long before = used_time();
  int quiet = 0;  // looks in a row that found nothing used, ~0.2 s apart
  for (int look = 0; look < 50 && quiet < 3; ++look) {
    ::poll(nullptr, 0, 200);
    long const now = used_time();
    quiet = now == before ? quiet + 1 : 0;
    before = now;
  }
  return quiet == 3;
}
/// Nanoseconds that the main thread of `pid` has run.
inline long used_time_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/schedstat");
  long nanoseconds = 0;
  file >> nanoseconds;
  return nanoseconds;
}

/// Runs `body` in a bare child with stderr going into a string.
template <class Body>
std::pair<std::string, int> stderr_of(Body const& body) {
  Pipe pipe;
  RawChild child([&] {
    ::dup2(pipe.writer.get(), STDERR_FILENO);
    return body();
  });
  auto text = pipe.drain();
  return {std::move(text), child.wait()};
}

/// An environment variable as a number: how long stress tests run.
inline long setting(char const* name, long fallback) {
  char const* const text = std::getenv(name);
  return text != nullptr ? std::atol(text) : fallback;
}

}  // namespace support
