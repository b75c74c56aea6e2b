// SPDX-License-Identifier: BSL-1.0
// Names of shared memory that are this process's own.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>

namespace support {

inline constexpr std::string_view kOfTests = "multiprocessing-test-";

inline std::string unused_name() { return std::string(kOfTests) + std::to_string(::getpid()); }

/// Whether a test that runs beside this process has made it: ranks of an MPI job, too, have some.
inline bool is_another_tests(std::string_view name) {
  if (name.starts_with("vader_segment.")) return true;  // Open MPI's
  if (!name.starts_with(kOfTests)) return false;
  name.remove_prefix(kOfTests.size());
  return name.substr(0, name.find_first_not_of("0123456789")) != std::to_string(::getpid());
}

inline bool is_there(std::string const& name) {
  return ::access(("/dev/shm/" + name).c_str(), F_OK) == 0;
}

}  // namespace support
