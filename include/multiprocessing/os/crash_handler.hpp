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

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
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

  void clear() noexcept {
    signal = 0;
    has_address = false;
    address = 0;
    frame_count = 0;
  }
  void add_frame(std::uintptr_t frame) noexcept {
    auto const count = frame_count.load();
    if (count == kMostFrames) return;
    frames[count].store(frame, std::memory_order_release);
    frame_count.store(count + 1, std::memory_order_release);
  }
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

inline std::uintptr_t place_in(void const* context) noexcept {
  auto const& machine = static_cast<ucontext_t const*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
#else
  return static_cast<std::uintptr_t>(machine.pc);
#endif
}

/// Whether it is in a loaded module.
inline bool is_code(std::uintptr_t place) noexcept {
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  dl_find_object found{};
  return ::_dl_find_object(reinterpret_cast<void*>(place), &found) == 0;
#else
  return place != 0;
#endif
}

/// After a call of a function that is none, which is not to be unwound: where that call returns to.
inline std::uintptr_t caller_in(void const* context) noexcept {
  auto const& machine = static_cast<ucontext_t const*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return *reinterpret_cast<std::uintptr_t const*>(machine.gregs[REG_RSP]);
#else
  return machine.regs[30];
#endif
}

/// What the unwinder tells of.
struct Walk {
  CrashRecord* record;
  std::uintptr_t begin;   // above are the handler's own frames
  std::uintptr_t bottom;  // below are those of who installed it
  bool has_begun;
};

inline _Unwind_Reason_Code visit_frame(_Unwind_Context* context, void* data) noexcept {
  auto& walk = *static_cast<Walk*>(data);
  int is_at_instruction = 0;  // otherwise behind a call, which may be the last of its function
  auto const place = static_cast<std::uintptr_t>(::_Unwind_GetIPInfo(context, &is_at_instruction));
  if (!walk.has_begun) {
    walk.has_begun = place == walk.begin;
    return _URC_NO_REASON;
  }
  bool const is_full = walk.record->frame_count.load() == CrashRecord::kMostFrames;
  if (is_full || place == 0 || ::_Unwind_GetCFA(context) > walk.bottom) return _URC_END_OF_STACK;
  walk.record->add_frame(is_at_instruction != 0 ? place : place - 1);
  return _URC_NO_REASON;
}

inline void unwind(Walk& walk) noexcept {
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  ::_Unwind_Backtrace(&visit_frame, &walk);
#else
  static_cast<void>(walk);  // it would take a lock of the dynamic linker
#endif
}

/// By the kernel alone: the C library's timers allocate.
inline void end_in_time(int signal) noexcept {
  constexpr int kPatience = 1;  // seconds; it takes less than one of their thousandths
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal;
  int timer = 0;
  if (::syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0) return;
  itimerspec when{};
  when.it_value.tv_sec = kPatience;
  ::syscall(SYS_timer_settime, timer, 0, &when, nullptr);
}

/// Whether an instruction did it, which does it again.
inline bool is_fault(int signal, siginfo_t const& info) noexcept {
  bool const was_sent = info.si_code <= 0 || signal == SIGABRT;
  bool const is_elsewhere = signal == SIGBUS && info.si_code == BUS_MCEERR_AO;
  return !was_sent && !is_elsewhere;
}

inline void describe(CrashRecord& record, int signal, siginfo_t const& info, void const* context,
                     pid_t thread) noexcept {
  // The kernel knows no address where it says SI_KERNEL.
  if (is_fault(signal, info) && info.si_code != SI_KERNEL) {
    record.address.store(reinterpret_cast<std::uintptr_t>(info.si_addr), std::memory_order_release);
    record.has_address.store(true, std::memory_order_release);
  }
  auto const place = place_in(context);
  record.add_frame(place);
  end_in_time(signal);
  if (!is_code(place)) {
    auto const caller = caller_in(context) - 1;
    if (is_code(caller)) record.add_frame(caller);
    return;
  }
  auto const bottom = thread == installed.thread ? installed.bottom : UINTPTR_MAX;
  Walk walk{&record, place, bottom, false};
  unwind(walk);
}

inline void restore_default(int signal) noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

/// SA_RESETHAND: from here on `signal` has its default action, in all threads.
inline void on_crash(int signal, siginfo_t* info, void* context) noexcept {
  auto const pid = ::getpid();
  auto const thread = this_thread();
  int how = signal;
  if (pid == installed.pid) {
    auto& record = *installed.record;
    std::int32_t first = 0;
    if (record.signal.compare_exchange_strong(first, signal)) {
      describe(record, signal, *info, context, thread);
    } else {
      how = first;
    }
  }
  // Where a handler of the user's has called this one, that is what is installed, and blocked.
  restore_default(how);
  if (how == signal && is_fault(signal, *info)) return;
  ::syscall(SYS_tgkill, pid, thread, how);
  raise_kill();  // not reached, unless somebody has blocked it
}

}  // namespace crash_detail

/// Gets what the handler needs, for this process and those it forks, where installing it costs
/// eight system calls then: a stack, and the addresses of the functions it calls. Once a process.
/// Threads: not safe. Without memory for the stack a stack's overflow is told of nowhere.
inline void prepare_crash_handler() noexcept {
  if constexpr (!kHandlesCrashes) return;
  if (crash_detail::stack != nullptr) return;
  CrashRecord nowhere;
  crash_detail::Walk walk{&nowhere, 0, UINTPTR_MAX, true};
  crash_detail::unwind(walk);
  static_cast<void>(crash_detail::is_code(0));
  auto* const pages = static_cast<std::byte*>(
      ::mmap(nullptr, crash_detail::kGuardSize + crash_detail::kStackSize, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (pages == MAP_FAILED) return;
  auto* const stack = pages + crash_detail::kGuardSize;
  if (::mprotect(stack, crash_detail::kStackSize, PROT_READ | PROT_WRITE) == 0) {
    crash_detail::stack = stack;
  }
}

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
