// SPDX-License-Identifier: BSL-1.0
// A block of the heap that grows in place: its addresses are reserved, its memory comes as it is
// used. All processes that have the heap see what one of them has added, where they have the rest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include <boost/interprocess/offset_ptr.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::shm {

/// Lives inside the heap. All members REQUIRE a lock that the user holds.
/// Peer death: memory that was being added is there, or is added once more.
class GrowingBlock {
 public:
  /// REQUIRES: `block` was reserved, for `limit` bytes at least, and lives as long as this.
  GrowingBlock(Number block, std::uint64_t limit)
      : data_(Heap::instance().arena().data(block)), block_(block), limit_(limit) {}
  GrowingBlock(GrowingBlock const&) = delete;
  GrowingBlock& operator=(GrowingBlock const&) = delete;

  std::byte* data() const noexcept { return data_.get(); }
  /// How much memory it can have.
  std::uint64_t limit() const noexcept { return limit_; }
  /// How much it has.
  std::uint64_t size() const noexcept { return size_; }

  /// The first `size` bytes have memory from now on. Throws: std::bad_alloc when they are more than
  /// limit(), or the machine is full; then nothing has changed.
  void grow(std::uint64_t size) {
    if (size <= size_) [[likely]]
      return;
    if (size > limit_) throw std::bad_alloc();
    // By half, so that many small steps make few calls; less where that does not fit.
    auto const ample = size_ + std::clamp(size_ / 2, kSmallestStep, kLargestStep);
    if (size < ample && ample <= limit_) {
      try {
        return resize(ample);
      } catch (std::bad_alloc const&) {
      }
    }
    resize(size);
  }

  /// Gives back what is behind the first `size` bytes.
  void shrink(std::uint64_t size) {
    if (size < size_) resize(size);
  }

 private:
  static constexpr std::uint64_t kSmallestStep = ArenaLayout::kSmallPage;
  static constexpr std::uint64_t kLargestStep = std::uint64_t{16} << 20;  // it takes milliseconds

  void resize(std::uint64_t size) {
    auto const before = size_;
    size_ = std::min(before, size);  // who is killed, or throws, has this much at least
    Heap::instance().arena().resize(block_, size);
    size_ = size;
  }

  boost::interprocess::offset_ptr<std::byte> const data_;
  Number const block_;
  std::uint64_t const limit_;
  std::uint64_t size_ = 0;
};

}  // namespace multiprocessing::shm
