// SPDX-License-Identifier: BSL-1.0
// A child inherits every lock of the C library as it was at the fork, also those that another
// thread held, and that thread does not exist in the child. So this library forks only while no
// thread of its own is inside such a lock: both sides hold this gate.
#pragma once

#include <mutex>
#include <type_traits>

namespace multiprocessing::os {

/// Never destroyed: processes may still be started while static objects are.
inline std::mutex& fork_gate() noexcept {
  static_assert(std::is_trivially_destructible_v<std::mutex>);
  static constinit std::mutex gate;
  return gate;
}

}  // namespace multiprocessing::os
