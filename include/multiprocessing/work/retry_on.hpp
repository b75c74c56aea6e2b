// SPDX-License-Identifier: BSL-1.0
// What is worth another try.
#pragma once

#include <cstdint>

namespace multiprocessing {

/// After what a task is run again that may be: the end of its worker, its timeout, an exception
/// that it has thrown. To be combined by `|`.
enum class RetryOn : std::uint8_t { crash = 1, timeout = 2, exception = 4 };

/// After the one or the other.
constexpr RetryOn operator|(RetryOn a, RetryOn b) noexcept {
  return static_cast<RetryOn>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

}  // namespace multiprocessing
