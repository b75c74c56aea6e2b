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

/// One whom a wait watches: who held `life` when this was made. Another may hold it by the time the
/// wait looks, which is news of a death, too.
struct Peer {
  Peer() = default;
  explicit Peer(shm::LifeLock& lock) noexcept : life(&lock), holder(lock.holder()) {}

  /// Whoever will come and hold `lock`; news is that somebody has, or has come and died.
  static Peer absent(shm::LifeLock& lock) noexcept {
    Peer peer;
    peer.life = &lock;
    peer.holder = kAbsent;
    return peer;
  }

  static constexpr pid_t kAbsent = -1;

  shm::LifeLock* life = nullptr;
  pid_t holder = 0;
};

/// Who a wait watches: it ends when one of them dies.
using Peers = std::span<Peer const>;

/// As many peers as one wait can watch.
inline constexpr std::size_t kMostPeers = os::kMostFutexWords - 1;

/// Peers, collected where nothing may throw.
class PeerList {
 public:
  /// False when it is full.
  bool add(Peer peer) noexcept {
    if (count_ == peers_.size()) return false;
    peers_[count_++] = peer;
    return true;
  }
  operator Peers() const noexcept { return {peers_.data(), count_}; }

 private:
  std::array<Peer, kMostPeers> peers_;
  std::size_t count_ = 0;
};

namespace park_detail {
// How late a death may be noticed where the kernel can't wait for several words at once.
inline constexpr std::chrono::milliseconds kLivenessCheck{10};
// How late where it can, but the one sleeper that it woke for the death was killed before it passed
// the news on. Rare enough, and seldom enough to cost nothing.
inline constexpr std::chrono::seconds kHeirCheck{2};

/// The kernel wakes one sleeper for a death. Whoever looks next passes the news on, because it may
/// have been the one. True when there is news of one of `peers`.
inline bool spread_deaths(Peers peers) {
  bool any = false;
  for (auto const& peer : peers) {
    pid_t const holder = peer.life->holder();
    if (peer.holder == Peer::kAbsent ? holder == 0 : holder != 0 && holder == peer.holder) continue;
    if (peer.life->holder_is_dead()) peer.life->spread_death();
    any = true;
  }
  return any;
}
}  // namespace park_detail

/// Sleeps while all of `own` hold what is expected, all of `peers` live, and the deadline has not
/// passed; may also return without a reason. False: there is news of a peer. REQUIRES: one word or
/// more, with the peers at most os::kMostFutexWords.
inline bool park(std::span<os::FutexExpectation const> own, Peers peers, base::Deadline deadline) {
  if (peers.empty() && own.size() == 1) {
    static_cast<void>(os::futex_wait(*own[0].word, own[0].expected, deadline));
    return true;
  }
  std::array<os::FutexExpectation, os::kMostFutexWords> words;
  std::copy(own.begin(), own.end(), words.begin());
  auto count = own.size();
  for (auto const& peer : peers) {
    auto const watched =
        peer.holder == Peer::kAbsent ? peer.life->watch_absent() : peer.life->watch(peer.holder);
    if (!watched) {
      park_detail::spread_deaths(peers);
      return false;
    }
    words[count++] = *watched;
  }
  auto const check = earlier(deadline, base::Deadline::after(park_detail::kHeirCheck));
  if (os::futex_wait_any({words.data(), count}, check) == os::FutexResult::Unsupported) {
    auto const slice = earlier(deadline, base::Deadline::after(park_detail::kLivenessCheck));
    static_cast<void>(os::futex_wait(*own[0].word, own[0].expected, slice));
  }
  return !park_detail::spread_deaths(peers);
}
inline bool park(os::FutexExpectation const& own, Peers peers, base::Deadline deadline) {
  return park({&own, 1}, peers, deadline);
}

}  // namespace multiprocessing::sync
