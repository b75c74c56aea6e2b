// SPDX-License-Identifier: BSL-1.0
// Where workers put what has no size in advance.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::work {

/// Room for what has no size in advance: encoded results and exceptions. A worker takes its piece
/// with one addition; what a dead worker had taken is wasted until the job ends, nothing else.
struct ResultLog {
  /// Pages committed at a time: few system calls for small results, little waste.
  static constexpr std::uint64_t kStep = std::uint64_t{256} << 10;

  shm::Range room;
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> committed{0};  ///< pages are there below this

  /// Throws: std::bad_alloc.
  shm::Range take(shm::Segment const& segment, std::uint64_t size) {
    std::uint64_t const rounded = shm::round_up(size, alignof(std::max_align_t));
    std::uint64_t const begin = taken.fetch_add(rounded);
    if (begin > room.size || room.size - begin < rounded) throw std::bad_alloc();
    std::uint64_t ready = committed.load();
    if (begin + rounded > ready) {
      auto const target = std::min(shm::round_up(begin + rounded, kStep), room.size);
      segment.commit({room.offset + ready, target - ready});
      // Only after the pages are there: who is killed before this makes others commit them again.
      while (ready < target && !committed.compare_exchange_weak(ready, target)) {
      }
    }
    return {room.offset + begin, size};
  }

  /// Gives the memory back, but for the first step: the next job in this room is likely small.
  /// Returns how much keeps its pages. REQUIRES: nobody uses it any more.
  std::uint64_t trim(shm::Segment const& segment) const noexcept {
    std::uint64_t const ready = committed.load();
    // A worker that was killed while it committed may have got further than `committed` says.
    auto const end = std::min(shm::round_up(taken.load(), kStep), room.size);
    if (end > kStep) segment.discard({room.offset + kStep, end - kStep});
    return std::min(ready, kStep);
  }
};

}  // namespace multiprocessing::work
