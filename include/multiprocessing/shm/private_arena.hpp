// SPDX-License-Identifier: BSL-1.0
// Hands out ranges of a segment. The bookkeeping is ordinary memory of one process, so no other
// process, dead or alive, can damage it.
#pragma once

#include <cstdint>
#include <map>

#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::shm {

/// First fit, so that work that repeats stays in the same, warm pages at the front.
/// Threads: external synchronization.
class PrivateArena {
 public:
  /// Manages `whole`. The first `warm` bytes keep their pages once they had them; beyond, memory
  /// goes back to the system when it is released.
  PrivateArena(Segment const& segment, Range whole, std::uint64_t warm);

  /// A range with pages, aligned to a cache line; its content is unspecified.
  /// Throws: std::bad_alloc when the machine or the reservation is full.
  Range allocate(std::uint64_t size);

  /// A range whose pages the user commits as needed. Throws: std::bad_alloc.
  Range reserve(std::uint64_t size);

  /// `range` as `allocate` or `reserve` returned it.
  void release(Range range) noexcept;

  /// The most that `reserve` can give now.
  std::uint64_t largest() const noexcept;

 private:
  struct Block {
    std::uint64_t size;
    bool is_free;
  };

  // How far ahead warm memory is committed: few system calls, little waste.
  static constexpr std::uint64_t kStep = std::uint64_t{256} << 10;

  void commit(Range range);

  Segment const* segment_;
  Offset warm_end_;
  Offset committed_end_;            // everything warm below this has pages
  std::map<Offset, Block> blocks_;  // all of it; two free ones are never neighbours
};

}  // namespace multiprocessing::shm

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shm/private_arena.ipp>
#endif
