// SPDX-License-Identifier: BSL-1.0
// Sleeping on a word beside the lives of other processes or threads: the slow half of every wait.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/shm/life_lock.hpp>

namespace multiprocessing::sync {

enum class [[nodiscard]] Waited{Ready, TimedOut, PeerDied};

/// Who a wait watches: it ends when one of them dies.
using Peers = std::span<shm::LifeLock* const>;

/// As many peers as one wait can watch.
inline constexpr std::size_t kMostPeers = os::kMostFutexWords - 1;

namespace park_detail {
// How late a death may be noticed where the kernel can't wait for several words at once.
inline constexpr std::chrono::milliseconds kLivenessCheck{10};

/// The kernel wakes one sleeper for a death. Whoever looks next passes the news on, because it may
/// have been the one. True when one of `peers` is dead.
inline bool spread_deaths(Peers peers) {
  bool any = false;
  for (auto* const peer : peers) {
    if (!peer->holder_is_dead()) continue;
    peer->spread_death();
    any = true;
  }
  return any;
}
}  // namespace park_detail

/// Sleeps while `own` holds what is expected, all of `peers` (at most kMostPeers) live, and the
/// deadline has not passed; may also return without a reason. False: one of the peers is dead.
inline bool park(os::FutexExpectation own, Peers peers, base::Deadline deadline) {
  if (peers.empty()) {
    static_cast<void>(os::futex_wait(*own.word, own.expected, deadline));
    return true;
  }
  std::array<os::FutexExpectation, os::kMostFutexWords> words;
  words[0] = own;
  std::size_t count = 1;
  for (auto* const peer : peers) {
    auto const watched = peer->watch();
    if (!watched) {
      park_detail::spread_deaths(peers);
      return false;
    }
    words[count++] = *watched;
  }
  if (os::futex_wait_any({words.data(), count}, deadline) == os::FutexResult::Unsupported) {
    auto const slice = earlier(deadline, base::Deadline::after(park_detail::kLivenessCheck));
    static_cast<void>(os::futex_wait(*own.word, own.expected, slice));
  }
  return !park_detail::spread_deaths(peers);
}

}  // namespace multiprocessing::sync
