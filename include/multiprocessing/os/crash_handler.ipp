// SPDX-License-Identifier: BSL-1.0
// The bodies of crash_handler.hpp.
#pragma once

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/crash_handler.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE void CrashRecord::clear() noexcept {
  signal = 0;
  has_address = false;
  address = 0;
  frame_count = 0;
}

MULTIPROCESSING_INLINE void CrashRecord::add_frame(std::uintptr_t frame) noexcept {
  auto const count = frame_count.load();
  if (count == kMostFrames) return;
  frames[count].store(frame, std::memory_order_release);
  frame_count.store(count + 1, std::memory_order_release);
}
namespace crash_detail {

MULTIPROCESSING_INLINE std::uintptr_t place_in(void const* context) noexcept {
  auto const& machine = static_cast<ucontext_t const*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
#else
  return static_cast<std::uintptr_t>(machine.pc);
#endif
}

MULTIPROCESSING_INLINE bool is_code(std::uintptr_t place) noexcept {
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  dl_find_object found{};
  return ::_dl_find_object(reinterpret_cast<void*>(place), &found) == 0;
#else
  return place != 0;
#endif
}

MULTIPROCESSING_INLINE std::uintptr_t caller_in(void const* context) noexcept {
  auto const& machine = static_cast<ucontext_t const*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return *reinterpret_cast<std::uintptr_t const*>(machine.gregs[REG_RSP]);
#else
  return machine.regs[30];
#endif
}

MULTIPROCESSING_INLINE _Unwind_Reason_Code visit_frame(_Unwind_Context* context,
                                                       void* data) noexcept {
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

MULTIPROCESSING_INLINE void unwind(Walk& walk) noexcept {
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  ::_Unwind_Backtrace(&visit_frame, &walk);
#else
  static_cast<void>(walk);  // it would take a lock of the dynamic linker
#endif
}

MULTIPROCESSING_INLINE void end_in_time(int signal) noexcept {
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

MULTIPROCESSING_INLINE bool is_fault(int signal, siginfo_t const& info) noexcept {
  bool const was_sent = info.si_code <= 0 || signal == SIGABRT;
  bool const is_elsewhere = signal == SIGBUS && info.si_code == BUS_MCEERR_AO;
  return !was_sent && !is_elsewhere;
}

MULTIPROCESSING_INLINE void describe(CrashRecord& record, int signal, siginfo_t const& info,
                                     void const* context, pid_t thread) noexcept {
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

MULTIPROCESSING_INLINE void restore_default(int signal) noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

MULTIPROCESSING_INLINE void on_crash(int signal, siginfo_t* info, void* context) noexcept {
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

MULTIPROCESSING_INLINE void prepare_crash_handler() noexcept {
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

}  // namespace multiprocessing::os
