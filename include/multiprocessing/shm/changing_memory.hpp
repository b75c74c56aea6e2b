// SPDX-License-Identifier: BSL-1.0
// Memory that a container takes pieces of and gives them back to, as a part of changes that can be
// undone.
//
//   | taken | free | taken | taken | frontier_ ->  ...                        limit |
//
// Pieces come in the steps of SizeClass, as blocks of the heap do; a free one waits in the list of
// its size. What is given back in a change must stay as it is until that has happened: so it goes
// to a list of its own, given_back_, and from there into the others in a change of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/shm/growing_block.hpp>
#include <multiprocessing/shm/size_class.hpp>
#include <multiprocessing/shm/undo_log.hpp>

namespace multiprocessing::shm {

/// Lives inside the heap. All members REQUIRE a lock that the user holds, and those that take a log
/// one that is_open().
class ChangingMemory {
 public:
  static constexpr std::size_t kAlignment = 16;

  /// What has to be reserved, so that one piece of `size` bytes fits.
  static constexpr std::uint64_t limit_for(std::uint64_t size) noexcept {
    return kBegin + rounded(size);
  }

  ChangingMemory(Number block, std::uint64_t limit) : memory_(block, limit) {}
  ChangingMemory(ChangingMemory const&) = delete;
  ChangingMemory& operator=(ChangingMemory const&) = delete;

  /// Where its pieces lie; from the frontier on nothing is in use.
  std::byte* begin() const noexcept { return memory_.data(); }
  std::uint64_t frontier() const noexcept { return frontier_; }
  std::uint64_t limit() const noexcept { return memory_.limit(); }

  /// What a piece of `size` bytes really has.
  static constexpr std::uint64_t rounded(std::uint64_t size) noexcept {
    return size_of(class_of(size));
  }

  /// Aligned to kAlignment. Throws: std::bad_alloc, and nothing has changed.
  void* take(std::uint64_t size, UndoLog& log);

  /// Makes a piece larger where it is; whether that is possible: it lies last. Throws:
  /// std::bad_alloc, and nothing has changed.
  bool extend(void* piece, std::uint64_t size, UndoLog& log);

  /// REQUIRES: `size` is what it was taken with, or extended to; log.make_room(kRoomOfAStep).
  void give_back(void* piece, std::uint64_t size, UndoLog& log) noexcept;
  /// For the entries of the log that one call writes.
  static constexpr std::uint64_t kRoomOfAStep = 2 * UndoLog::room_for(16);

  /// Of changes that have happened.
  bool has_given_back() const noexcept { return given_back_ != 0; }
  /// Puts some of what was given back where it can be taken from. REQUIRES: nothing was given back
  /// since the log was opened. Throws: std::bad_alloc.
  void sort_given_back(UndoLog& log);

  /// All pieces are free. REQUIRES: nothing is taken any more as long as the log is open.
  /// Throws: std::bad_alloc.
  void reset(UndoLog& log);

 private:
  /// In the front of a piece that is free.
  struct Free {
    std::uint64_t next;        ///< 0: it is the last
    std::uint64_t size_class;  ///< while it is among those that were given back
  };
  static_assert(sizeof(Free) <= kAlignment);

  static constexpr std::uint64_t kBegin = kAlignment;  // no piece lies at 0
  // The classes are those of cache lines, for units that are smaller.
  static constexpr std::uint64_t kScale = base::kCacheLine / kAlignment;

  static constexpr SizeClass class_of(std::uint64_t size) noexcept {
    return SizeClass::of(size * kScale);
  }
  static constexpr std::uint64_t size_of(SizeClass size_class) noexcept {
    return size_class.size() / kScale;
  }

  Free* at(std::uint64_t place) const noexcept;
  std::uint64_t place_of(void const* piece) const noexcept;

  void move_frontier(std::uint64_t place, std::uint64_t size, UndoLog& log);

  GrowingBlock memory_;
  std::uint64_t frontier_ = kBegin;
  std::uint64_t last_ = 0;  // the piece that ends at the frontier
  std::uint64_t given_back_ = 0;
  std::array<std::uint64_t, SizeClass::kCount> free_{};
};

}  // namespace multiprocessing::shm

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shm/changing_memory.ipp>
#endif
