// SPDX-License-Identifier: BSL-1.0
// What a process leaves behind that crashes: a signal handler writes where it was to memory that
// others share, then has the signal end the process as it would have without.
//
//   a thread's fault      on_crash()                                        who has reaped it
//   SIGSEGV ------------> CrashRecord: signal, address, frames[0] --------> reads it
//                         a timer: the same signal, in a second
//                         unwinds: frames[1], frames[2], ... ------------->
//                         returns; the fault comes again, and kills
//   Failure   A second fault, of this or another thread, finds the record taken, and ends the
//             process by the first signal. The unwinder never ends: the timer's signal does. What
//             is in the record by then stays good.
//
// The handler allocates nothing and takes no lock: it looks code up by _dl_find_object, and so does
// the unwinder. Where the C library has no such function only frames[0] is told.
#pragma once

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/sanitizers.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing::os {

/// Whether crashes are handled at all: sanitizers have handlers of their own.
inline constexpr bool kHandlesCrashes =
    MULTIPROCESSING_ADDRESS_SANITIZER == 0 && MULTIPROCESSING_THREAD_SANITIZER == 0;

/// How a process crashed. Zeros: it has not. The stores of the handler are release: pair with
/// nothing, but keep the order of a process that may be killed; whoever reads has reaped it.
struct CrashRecord {
  static constexpr std::size_t kMostFrames = 32;  // innermost; to find a fault takes few

  std::atomic<std::int32_t> signal{0};  ///< set by who may write the rest
  std::atomic<bool> has_address{false};
  std::atomic<std::uintptr_t> address{0};  ///< that could not be used; of the instruction: SIGFPE
  std::atomic<std::uint32_t> frame_count{0};
  /// Where the crashed thread was, then in its caller, and so on: addresses inside the
  /// instructions.
  std::array<std::atomic<std::uintptr_t>, kMostFrames> frames{};

  void clear() noexcept;
  void add_frame(std::uintptr_t frame) noexcept;
};

namespace crash_detail {

inline constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
// The unwinder needs some 8 KiB, the widest registers that a kernel saves 11 KiB, twice.
inline constexpr std::size_t kStackSize = std::size_t{64} << 10;
inline constexpr std::size_t kGuardSize = std::size_t{64} << 10;  // a page, of any size

/// Written before the handler is installed.
struct Installed {
  CrashRecord* record;
  pid_t pid;              // a copy of this process writes nothing
  pid_t thread;           // whose stack, from here on, is not the user's:
  std::uintptr_t bottom;  // stacks grow downward
};
inline constinit Installed installed{};
inline constinit void* stack = nullptr;  // to handle the overflow of another one on

inline pid_t this_thread() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

std::uintptr_t place_in(void const* context) noexcept;

/// Whether it is in a loaded module.
bool is_code(std::uintptr_t place) noexcept;

/// After a call of a function that is none, which is not to be unwound: where that call returns to.
std::uintptr_t caller_in(void const* context) noexcept;

/// What the unwinder tells of.
struct Walk {
  CrashRecord* record;
  std::uintptr_t begin;   // above are the handler's own frames
  std::uintptr_t bottom;  // below are those of who installed it
  bool has_begun;
};

_Unwind_Reason_Code visit_frame(_Unwind_Context* context, void* data) noexcept;

void unwind(Walk& walk) noexcept;

/// By the kernel alone: the C library's timers allocate.
void end_in_time(int signal) noexcept;

/// Whether an instruction did it, which does it again.
bool is_fault(int signal, siginfo_t const& info) noexcept;

void describe(CrashRecord& record, int signal, siginfo_t const& info, void const* context,
              pid_t thread) noexcept;

void restore_default(int signal) noexcept;

/// SA_RESETHAND: from here on `signal` has its default action, in all threads.
void on_crash(int signal, siginfo_t* info, void* context) noexcept;

}  // namespace crash_detail

/// Gets what the handler needs, for this process and those it forks, where installing it costs
/// eight system calls then: a stack, and the addresses of the functions it calls. Once a process.
/// Threads: not safe. Without memory for the stack a stack's overflow is told of nowhere.
void prepare_crash_handler() noexcept;

/// From now on the first SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT of this process writes `record`
/// before it ends it as ever, with the same exit status and core dump. A signal that has a handler,
/// or is ignored, is left alone, and so is everything where kHandlesCrashes is false. Handlers that
/// are installed later replace this one; forked children inherit it, and write nothing.
/// Frames of the calling function's callers are not told of. On the stack of
/// prepare_crash_handler() in the calling thread; other threads have none for their overflow, which
/// is not told of. Threads: not safe. `record`: clear, and there as long as the process is.
[[gnu::noinline]] inline void install_crash_handler(CrashRecord& record) noexcept {
  if constexpr (!kHandlesCrashes) return;
  crash_detail::installed = {&record, ::getpid(), crash_detail::this_thread(),
                             reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))};
  if (crash_detail::stack != nullptr) {
    stack_t alternate{};
    alternate.ss_sp = crash_detail::stack;
    alternate.ss_size = crash_detail::kStackSize;
    ::syscall(SYS_sigaltstack, &alternate, nullptr);
  }
  struct sigaction action {};
  action.sa_sigaction = &crash_detail::on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | static_cast<int>(SA_RESETHAND);
  for (int const signal : crash_detail::kSignals) {
    struct sigaction before {};
    if (::sigaction(signal, &action, &before) != 0) continue;
    bool const was_default = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL;
    if (!was_default) ::sigaction(signal, &before, nullptr);
  }
}

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/crash_handler.ipp>
#endif
