// SPDX-License-Identifier: BSL-1.0
// Threads by the numbers that the kernel gives them, and what must be forgotten in a forked child.
#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

/// Functions that every fork() of this process runs from now on: just before, and just after in
/// parent and child. null: none. Throws: std::system_error.
inline void register_fork_handlers(void (*prepare)(), void (*parent)(), void (*child)()) {
  int const result = ::pthread_atfork(prepare, parent, child);
  if (result != 0) throw_error(result, "pthread_atfork", "");
}

namespace thread_detail {
inline std::atomic<unsigned>& generation() noexcept {
  static std::atomic<unsigned> generation{0};
  return generation;
}
}  // namespace thread_detail

/// How many forks lie between the first process and this one. What a thread remembers about itself
/// is void in a forked child; it remembers the generation with it, and compares.
/// REQUIRES: counts from the first call of count_forks() in this process or an ancestor.
inline unsigned fork_generation() noexcept {
  // relaxed: changes only while a child has a single thread
  return thread_detail::generation().load(std::memory_order_relaxed);
}

/// Threads: safe. May register twice when two threads come first at once, which does no harm.
inline void count_forks() {
  static std::atomic<bool> counted{false};
  if (counted.load()) return;
  register_fork_handlers(nullptr, nullptr, [] { ++thread_detail::generation(); });
  counted = true;
}

/// Of the calling thread, as the kernel and robust mutexes know it. No system call but the first.
inline pid_t this_thread_id() {
  struct Cached {
    pid_t id;
    unsigned generation;
  };
  static thread_local constinit Cached cached{0, 0};
  if (cached.id == 0 || cached.generation != fork_generation()) {
    count_forks();
    cached = {static_cast<pid_t>(::syscall(SYS_gettid)), fork_generation()};
  }
  return cached.id;
}

/// Whether `thread` is one of this process, and has not ended.
inline bool is_thread_of_this_process(pid_t thread) noexcept {
  return ::syscall(SYS_tgkill, ::getpid(), thread, 0) == 0;
}

/// How many threads this process has; 2 where nobody can tell.
inline int thread_count() {
  auto const count = number_after(read_text_file("/proc/self/status"), "Threads:");
  return static_cast<int>(count.value_or(2));
}

/// The process that a thread belongs to; 0 when there is no such thread (any more).
inline pid_t process_of_thread(pid_t thread) {
  auto const status = read_text_file("/proc/" + std::to_string(thread) + "/status");
  return static_cast<pid_t>(number_after(status, "Tgid:").value_or(0));
}

}  // namespace multiprocessing::os
