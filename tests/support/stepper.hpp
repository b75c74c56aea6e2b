// SPDX-License-Identifier: BSL-1.0
// Runs a process instruction by instruction, so that it can be killed at any of them.
#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace support {

/// All calls from the thread that made it.
class Stepper {
 public:
  /// Stops `pid`, a descendant, wherever it is.
  explicit Stepper(pid_t pid) : pid_(pid) {
    if (::ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) != 0) {
      throw std::runtime_error("this system does not let us trace");
    }
    ::ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    int status = 0;
    ::waitpid(pid, &status, __WALL);
    if (!WIFSTOPPED(status)) pid_ = -1;
  }
  Stepper(Stepper const&) = delete;
  Stepper& operator=(Stepper const&) = delete;
  ~Stepper() { kill(); }

  /// Runs up to `count` instructions. Returns how many it has run: fewer when the process has
  /// ended or gone to sleep in the kernel.
  long step(long count) {
    for (long done = 0; done < count; ++done) {
      if (pid_ < 0) return done;
      ::ptrace(PTRACE_SINGLESTEP, pid_, 0, signal_);
      int status = 0;
      if (!wait_while_running(status)) return done;
      if (!WIFSTOPPED(status)) {
        pid_ = -1;
        return done;
      }
      signal_ = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    }
    return count;
  }

  void kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    do {
      ::waitpid(pid_, &status, __WALL);
    } while (WIFSTOPPED(status));
    pid_ = -1;
  }

 private:
  /// False when the process sleeps in a system call instead of taking the step.
  bool wait_while_running(int& status) const {
    constexpr int kLooksBeforeAsking = 2000;
    for (int looks = 1;; ++looks) {
      if (::waitpid(pid_, &status, __WALL | WNOHANG) == pid_) return true;
      if (looks % kLooksBeforeAsking == 0 && sleeps()) {
        return ::waitpid(pid_, &status, __WALL | WNOHANG) == pid_;
      }
      std::this_thread::yield();
    }
  }
  bool sleeps() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string stat;
    std::getline(file, stat);
    return stat.compare(stat.rfind(')') + 2, 1, "S") == 0;
  }

  pid_t pid_;  // -1: has ended
  int signal_ = 0;
};

/// Calls `attempt(n)` for n = first, first + stride, .. until it returns false: the process was
/// through before its n-th instruction.
template <class Attempt>
long for_every_step(long first, long stride, Attempt const& attempt) {
  long attempts = 0;
  for (long n = first; attempt(n); n += stride) ++attempts;
  return attempts;
}

}  // namespace support
