// SPDX-License-Identifier: BSL-1.0
// Names of shared memory that are this process's own.
#pragma once

#include <unistd.h>

#include <string>

namespace support {

inline std::string unused_name() { return "multiprocessing-test-" + std::to_string(::getpid()); }

inline bool is_there(std::string const& name) {
  return ::access(("/dev/shm/" + name).c_str(), F_OK) == 0;
}

}  // namespace support
