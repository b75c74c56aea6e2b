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
    *mark() = true;
  }
  ForkDetector(ForkDetector const&) = delete;
  ForkDetector& operator=(ForkDetector const&) = delete;
  ~ForkDetector() { ::munmap(page_, size()); }

  /// Whether a fork lies between the construction and now.
  bool forked() const noexcept {
    // relaxed: pairs with nothing, it is the process's own memory
    return !std::atomic_ref<bool>(*mark()).load(std::memory_order_relaxed);
  }

  /// What is true unless a fork lies there. Read without an atomic it costs a loop nothing where
  /// the compiler sees all that is called: no fork, so it looks once. After other calls it looks
  /// again.
  bool const* mark_of_the_first() const noexcept { return mark(); }

 private:
  static constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;

  static std::size_t size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

  // forked() reads it by an atomic, so that the compiler does so each time.
  bool* mark() const noexcept { return static_cast<bool*>(page_); }

  void* page_;
};

}  // namespace multiprocessing::os
