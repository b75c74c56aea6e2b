// SPDX-License-Identifier: BSL-1.0
// Tells, at the price of reading a byte, whether this process is a forked copy of who asked first.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// A page of memory that the kernel wipes in every forked child.
class ForkDetector {
 public:
  /// Throws: std::system_error.
  ForkDetector() : page_(::mmap(nullptr, size(), PROT_READ | PROT_WRITE, kFlags, -1, 0)) {
    if (page_ == MAP_FAILED) throw_errno("mmap", "a page");
    if (::madvise(page_, size(), MADV_WIPEONFORK) != 0) throw_errno("madvise", "MADV_WIPEONFORK");
    mark().store(true, std::memory_order_relaxed);  // pairs with nothing: the process's own memory
  }
  ForkDetector(ForkDetector const&) = delete;
  ForkDetector& operator=(ForkDetector const&) = delete;
  ~ForkDetector() { ::munmap(page_, size()); }

  /// Whether a fork lies between the construction and now.
  bool forked() const noexcept { return !mark().load(std::memory_order_relaxed); }

 private:
  static constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;

  static std::size_t size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

  // Atomic, so that the compiler reads it each time.
  std::atomic<bool>& mark() const noexcept { return *static_cast<std::atomic<bool>*>(page_); }

  void* page_;
};

}  // namespace multiprocessing::os
