// SPDX-License-Identifier: BSL-1.0
// How much memory a process has.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <string>

#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

/// Bytes that are in memory, shared ones included; 0 when there is no such process.
inline std::uint64_t resident_memory(pid_t pid) {
  auto const text = read_text_file("/proc/" + std::to_string(pid) + "/statm");
  auto const pages = number_after(text, " ").value_or(0);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace multiprocessing::os
