// SPDX-License-Identifier: BSL-1.0
// fork and what a child does first.
#pragma once

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

inline pid_t this_pid() noexcept { return ::getpid(); }
/// The process that forked this one; another one once that has ended.
inline pid_t parent_pid() noexcept { return ::getppid(); }

using ForkListener = void (*)(pid_t child) noexcept;

/// Called in the parent after every fork_process(), also with -1; null: nobody wants to know. What
/// the handlers of pthread_atfork are not told.
inline std::atomic<ForkListener>& fork_listener() noexcept {
  static std::atomic<ForkListener> listener{nullptr};
  return listener;
}

/// fork(2), while no thread of this library is inside a lock of the C library. Blocks: until that
/// is so. Throws: std::system_error.
[[gnu::hot]] inline pid_t fork_process() {
  ForkGateGuard const gate;  // the child, too, unlocks its copy
  pid_t const pid = ::fork();
  if (pid == 0) return 0;
  int const fork_errno = errno;
  if (ForkListener const listener = fork_listener().load()) listener(pid);
  if (pid == -1) throw_error(fork_errno, "fork", "");
  return pid;
}

/// Ends the process at once: no atexit, no static destructors, no flushing.
[[noreturn]] inline void exit_now(int code) noexcept {
  // By pointer, here and below: a call by name has the dynamic linker look the function up at its
  // first use, which would be in every child again, and take a dozen page faults.
  auto* const volatile exit_function = &::_exit;
  for (;;) exit_function(code);
}

/// From now on std::exit() in this process runs the thread-local destructors of its thread, what
/// was registered after this call, then `leave` with the exit code, which must not return: what the
/// parent had registered never runs here.
[[gnu::hot]] inline void intercept_exit(void (*leave)(int code, void*)) noexcept {
  auto* const volatile on_exit_function = &::on_exit;
  // without memory for it, nothing may run
  if (on_exit_function(leave, nullptr) != 0) exit_now(1);
}

/// std::exit, as above. What leaves a registered function by an exception ends in std::terminate.
[[noreturn, gnu::hot]] inline void exit_normally(int code) noexcept {
  // Without the noexcept that the C library's declaration has: by it, compilers let exceptions pass
  // this frame, into whatever the child's stack began in.
  void (*const volatile exit_function)(int) = &::exit;
  exit_function(code);
  exit_now(code);  // not reached
}

/// Has the kernel kill this process when `parent` ends; kills it now if that has happened already.
/// Beware: "ends" means the thread that forked. Only for children of single-threaded processes.
inline void die_with_parent(pid_t parent) noexcept {
  // Not by ::prctl, which every child would have to look up.
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::raise(SIGKILL);
}

/// Like std::atexit, but not while this library forks: a lock of the C library is involved.
inline void register_at_exit(void (*function)()) noexcept {
  ForkGateGuard const gate;
  std::atexit(function);
}

/// The name that ps and top show; the kernel keeps 15 bytes.
inline void set_command_name(char const* name) noexcept { ::syscall(SYS_prctl, PR_SET_NAME, name); }

}  // namespace multiprocessing::os
