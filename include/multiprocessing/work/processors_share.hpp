// SPDX-License-Identifier: BSL-1.0
// How many processors this process may count on, so that pools in pools do not multiply.
#pragma once

#include <algorithm>
#include <atomic>

namespace multiprocessing::work {

/// 0: all that it may use. One a process; a forked child has its parent's.
inline std::atomic<int>& processors_share() noexcept {
  static constinit std::atomic<int> share{0};
  return share;
}

/// What each of `workers` has that share `all` processors.
inline int share_among(int all, int workers) noexcept { return std::max(all / workers, 1); }

}  // namespace multiprocessing::work
