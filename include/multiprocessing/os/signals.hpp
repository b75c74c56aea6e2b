// SPDX-License-Identifier: BSL-1.0
// Signal names, and the clean slate a child starts from.
#pragma once

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace multiprocessing::os {

/// "SIGKILL"; "signal 40" for those without a name.
inline std::string signal_name(int signal) {
  char const* const name = ::sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

/// "segmentation fault"; empty for those without a description.
inline std::string signal_description(int signal) {
  char const* const known = ::sigdescr_np(signal);
  std::string text = known != nullptr ? known : "";
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] += 'a' - 'A';
  return text;
}

/// What a signal does now, as the kernel has it (not the C library's struct sigaction). Asked for
/// by syscall() alone, as all that children do first: each other function of the C library lies on
/// another page that every child would have to fetch.
struct Disposition {
  using Handler = void (*)(int);

  Handler handler = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  std::uint64_t mask = 0;

  bool is_default() const noexcept { return handler == SIG_DFL; }
  bool is_ignored() const noexcept { return handler == SIG_IGN; }

  static Disposition of(int signal) noexcept {
    Disposition now;
    ::syscall(SYS_rt_sigaction, signal, nullptr, &now, sizeof now.mask);
    return now;
  }
  /// REQUIRES: no function of the program's, which could not return without a restorer.
  void set_for(int signal) const noexcept {
    ::syscall(SYS_rt_sigaction, signal, this, nullptr, sizeof mask);
  }
};

static_assert(offsetof(Disposition, mask) == 24, "the kernel's layout, of x86-64 and aarch64");

inline void ignore_signal(int signal) noexcept { Disposition{SIG_IGN}.set_for(signal); }
inline bool is_ignored(int signal) noexcept { return Disposition::of(signal).is_ignored(); }
inline void handle_signal_by_default(int signal) noexcept { Disposition{SIG_DFL}.set_for(signal); }

/// Removes the handlers that the parent had set, as exec would: they belong to a program state
/// that does not exist in a child. Ignored signals stay ignored, but for those by which a child is
/// asked to end and learns of its own children. Unblocks everything.
[[gnu::hot]] inline void reset_signals() noexcept {
  // Of the C library: to cancel threads, and for setuid() in all of them. Its handlers are set with
  // the process's first thread, and not again in a child.
  constexpr int kFirstInternal = 32;
  constexpr int kLastInternal = 33;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal >= kFirstInternal && signal <= kLastInternal) continue;
    auto const now = Disposition::of(signal);
    bool const is_needed = signal == SIGTERM || signal == SIGCHLD;
    // SA_NOCLDWAIT has the kernel reap children unseen, also without a handler.
    bool const is_deaf = signal == SIGCHLD && (now.flags & SA_NOCLDWAIT) != 0;
    if ((now.is_default() && !is_deaf) || (now.is_ignored() && !is_needed)) continue;
    handle_signal_by_default(signal);
  }
  std::uint64_t const none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

/// Holds back all signals until the end of the scope: for a fork whose child starts from a clean
/// slate, so that none of the parent's handlers ever runs in it. The child itself goes on blocked
/// until reset_signals().
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalBlock(SignalBlock const&) = delete;
  SignalBlock& operator=(SignalBlock const&) = delete;
  ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// Sends `signal` to the calling process.
inline void raise_signal(int signal) noexcept { ::kill(::getpid(), signal); }

/// As SIGKILL from elsewhere.
[[noreturn]] inline void raise_kill() noexcept {
  for (;;) ::kill(::getpid(), SIGKILL);
}

inline void unblock_signal(int signal) noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace multiprocessing::os
