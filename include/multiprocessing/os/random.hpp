// SPDX-License-Identifier: BSL-1.0
// Bytes that nobody can guess.
#pragma once

#include <sys/random.h>

#include <cstddef>
#include <span>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Blocks: until the machine has gathered enough noise, soon after it was switched on.
/// Throws: std::system_error.
inline void fill_with_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    auto const length = retry_eintr([&] { return ::getrandom(bytes.data(), bytes.size(), 0); });
    if (length == -1) throw_errno("getrandom");
    bytes = bytes.subspan(static_cast<std::size_t>(length));
  }
}

}  // namespace multiprocessing::os
