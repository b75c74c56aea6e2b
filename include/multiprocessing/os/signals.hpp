// SPDX-License-Identifier: BSL-1.0
// Signal names, and the clean slate a child starts from.
#pragma once

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <csignal>
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

/// Removes the handlers that the parent had set, as exec would: they belong to a program state
/// that does not exist in a child. Ignored signals stay ignored, but for those by which a child is
/// asked to end and learns of its own children. Unblocks everything.
inline void reset_signals() noexcept {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action;
    if (::sigaction(signal, nullptr, &action) != 0) continue;
    bool const ignored = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
    bool const needed = signal == SIGTERM || signal == SIGCHLD;
    bool const is_default = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
    // Flags matter, too: SA_NOCLDWAIT would have the kernel reap children unseen.
    if ((is_default && signal != SIGCHLD) || (ignored && !needed)) continue;
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    ::sigaction(signal, &plain, nullptr);
  }
  // By what SignalBlock has called in the parent, and not by sigemptyset: a function that the
  // dynamic linker has yet to look up costs every child a dozen page faults.
  sigset_t const none = {};
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
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

inline void ignore_signal(int signal) noexcept { std::signal(signal, SIG_IGN); }
inline bool is_ignored(int signal) noexcept {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == SIG_IGN;
}
inline void unblock_signal(int signal) noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}
inline void handle_signal_by_default(int signal) noexcept { std::signal(signal, SIG_DFL); }

}  // namespace multiprocessing::os
