// SPDX-License-Identifier: BSL-1.0
// How much a process may allocate while it runs somebody's code.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

/// Allocations of more than `bytes` from now on fail as long as it lives. Memory that is shared
/// does not count.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::uint64_t bytes) {
    constexpr std::uint64_t kKilobyte = 1024;
    auto const status = read_text_file("/proc/self/status");
    auto const used = number_after(status, "VmData:").value_or(0) * kKilobyte;
    ::getrlimit(RLIMIT_DATA, &before_);
    set(bytes > UINT64_MAX - used ? before_.rlim_cur : std::min(used + bytes, before_.rlim_cur));
  }
  MemoryLimit(MemoryLimit const&) = delete;
  MemoryLimit& operator=(MemoryLimit const&) = delete;
  ~MemoryLimit() { set(before_.rlim_cur); }

 private:
  void set(rlim_t soft) noexcept {
    rlimit const limits{soft, before_.rlim_max};
    ::setrlimit(RLIMIT_DATA, &limits);
  }
  rlimit before_{};
};

}  // namespace multiprocessing::os
