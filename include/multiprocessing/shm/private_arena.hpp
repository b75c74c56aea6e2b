// SPDX-License-Identifier: BSL-1.0
// Hands out ranges of a segment. The bookkeeping is ordinary memory of one process, so no other
// process, dead or alive, can damage it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::shm {

/// First fit, so that work that repeats stays in the same, warm pages at the front.
/// Threads: external synchronization.
class PrivateArena {
 public:
  /// Manages `whole`. The first `warm` bytes keep their pages once they had them; beyond, memory
  /// goes back to the system when it is released.
  PrivateArena(Segment const& segment, Range whole, std::uint64_t warm)
      : segment_(&segment),
        warm_end_(whole.offset + std::min(warm, whole.size)),
        committed_end_(whole.offset) {
    blocks_.emplace(whole.offset, Block{whole.size, true});
  }

  /// A range with pages, aligned to a cache line; its content is unspecified.
  /// Throws: std::bad_alloc when the machine or the reservation is full.
  Range allocate(std::uint64_t size) {
    Range const range = reserve(size);
    try {
      commit(range);
    } catch (...) {
      release(range);
      throw;
    }
    return range;
  }

  /// A range whose pages the user commits as needed. Throws: std::bad_alloc.
  Range reserve(std::uint64_t size) {
    size = round_up(std::max<std::uint64_t>(size, 1), base::kCacheLine);
    for (auto& [offset, block] : blocks_) {
      if (!block.is_free || block.size < size) continue;
      if (block.size > size) blocks_.emplace(offset + size, Block{block.size - size, true});
      block = {size, false};
      return {offset, size};
    }
    throw std::bad_alloc();
  }

  /// `range` as `allocate` or `reserve` returned it.
  void release(Range range) noexcept {
    if (range.end() > warm_end_) {
      Offset const cold = std::max(range.offset, warm_end_);
      segment_->discard({cold, range.end() - cold});
    }
    auto const block = blocks_.find(range.offset);
    block->second.is_free = true;
    auto const next = std::next(block);
    if (next != blocks_.end() && next->second.is_free) {
      block->second.size += next->second.size;
      blocks_.erase(next);
    }
    if (block == blocks_.begin()) return;
    auto const previous = std::prev(block);
    if (previous->second.is_free) {
      previous->second.size += block->second.size;
      blocks_.erase(block);
    }
  }

  /// The most that `reserve` can give now.
  std::uint64_t largest() const noexcept {
    std::uint64_t size = 0;
    for (auto const& [offset, block] : blocks_) {
      if (block.is_free) size = std::max(size, block.size);
    }
    return size;
  }

 private:
  struct Block {
    std::uint64_t size;
    bool is_free;
  };

  // How far ahead warm memory is committed: few system calls, little waste.
  static constexpr std::uint64_t kStep = std::uint64_t{256} << 10;

  void commit(Range range) {
    if (range.end() > warm_end_) {
      segment_->commit(range);
    } else if (range.end() > committed_end_) {
      Offset const end = std::min(round_up(range.end(), kStep), warm_end_);
      segment_->commit({committed_end_, end - committed_end_});
      committed_end_ = end;
    }
  }

  Segment const* segment_;
  Offset warm_end_;
  Offset committed_end_;            // everything warm below this has pages
  std::map<Offset, Block> blocks_;  // all of it; two free ones are never neighbours
};

}  // namespace multiprocessing::shm
