// SPDX-License-Identifier: BSL-1.0
// The bodies of private_arena.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/shm/private_arena.hpp>
#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::shm {

MULTIPROCESSING_INLINE PrivateArena::PrivateArena(Segment const& segment, Range whole,
                                                  std::uint64_t warm)
    : segment_(&segment),
      warm_end_(whole.offset + std::min(warm, whole.size)),
      committed_end_(whole.offset) {
  blocks_.emplace(whole.offset, Block{whole.size, true});
}

MULTIPROCESSING_INLINE Range PrivateArena::allocate(std::uint64_t size) {
  Range const range = reserve(size);
  try {
    commit(range);
  } catch (...) {
    release(range);
    throw;
  }
  return range;
}

MULTIPROCESSING_INLINE Range PrivateArena::reserve(std::uint64_t size) {
  size = round_up(std::max<std::uint64_t>(size, 1), base::kCacheLine);
  for (auto& [offset, block] : blocks_) {
    if (!block.is_free || block.size < size) continue;
    if (block.size > size) blocks_.emplace(offset + size, Block{block.size - size, true});
    block = {size, false};
    return {offset, size};
  }
  throw std::bad_alloc();
}

MULTIPROCESSING_INLINE void PrivateArena::release(Range range) noexcept {
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

MULTIPROCESSING_INLINE std::uint64_t PrivateArena::largest() const noexcept {
  std::uint64_t size = 0;
  for (auto const& [offset, block] : blocks_) {
    if (block.is_free) size = std::max(size, block.size);
  }
  return size;
}

MULTIPROCESSING_INLINE void PrivateArena::commit(Range range) {
  if (range.end() > warm_end_) {
    segment_->commit(range);
  } else if (range.end() > committed_end_) {
    Offset const end = std::min(round_up(range.end(), kStep), warm_end_);
    segment_->commit({committed_end_, end - committed_end_});
    committed_end_ = end;
  }
}

}  // namespace multiprocessing::shm
