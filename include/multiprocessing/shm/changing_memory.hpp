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

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

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
  void* take(std::uint64_t size, UndoLog& log) {
    if (size > limit()) throw std::bad_alloc();
    auto const size_class = class_of(size);
    log.make_room(kRoomOfAStep);
    auto& list = free_[size_class.index()];
    if (list != 0) {
      auto* const free = at(list);
      log.save(free, sizeof *free);
      log.note(&list);
      list = free->next;
      return free;
    }
    auto const place = frontier_;
    move_frontier(place, size_of(size_class), log);
    log.note(&last_);
    last_ = place;
    return memory_.data() + place;
  }

  /// Makes a piece larger where it is; whether that is possible: it lies last. Throws:
  /// std::bad_alloc, and nothing has changed.
  bool extend(void* piece, std::uint64_t size, UndoLog& log) {
    auto const place = place_of(piece);
    if (place != last_ || size > limit() || rounded(size) > limit() - place) return false;
    log.make_room(kRoomOfAStep);
    move_frontier(place, rounded(size), log);
    return true;
  }

  /// REQUIRES: `size` is what it was taken with, or extended to; log.make_room(kRoomOfAStep).
  void give_back(void* piece, std::uint64_t size, UndoLog& log) noexcept {
    auto* const free = static_cast<Free*>(piece);
    log.save(free, sizeof *free);
    log.note(&given_back_);
    *free = {given_back_, class_of(size).index()};
    given_back_ = place_of(piece);
  }
  /// For the entries of the log that one call writes.
  static constexpr std::uint64_t kRoomOfAStep = 2 * UndoLog::room_for(16);

  /// Of changes that have happened.
  bool has_given_back() const noexcept { return given_back_ != 0; }
  /// Puts some of what was given back where it can be taken from. REQUIRES: nothing was given back
  /// since the log was opened. Throws: std::bad_alloc.
  void sort_given_back(UndoLog& log) {
    constexpr int kAtOnce = 64;  // few, so that the log stays short
    for (int i = 0; i < kAtOnce && given_back_ != 0; ++i) {
      log.make_room(2 * kRoomOfAStep);
      auto const place = given_back_;
      auto* const free = at(place);
      auto& list = free_[free->size_class];
      log.save(free, sizeof *free);
      log.note(&given_back_);
      log.note(&list);
      given_back_ = free->next;
      free->next = list;
      list = place;
    }
  }

  /// All pieces are free. REQUIRES: nothing is taken any more as long as the log is open.
  /// Throws: std::bad_alloc.
  void reset(UndoLog& log) {
    log.save(&frontier_, sizeof frontier_);
    log.save(&last_, sizeof last_);
    log.save(&given_back_, sizeof given_back_);
    log.save(free_.data(), sizeof free_);
    frontier_ = kBegin;
    last_ = 0;
    given_back_ = 0;
    free_.fill(0);
  }

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

  Free* at(std::uint64_t place) const noexcept {
    return reinterpret_cast<Free*>(memory_.data() + place);
  }
  std::uint64_t place_of(void const* piece) const noexcept {
    return static_cast<std::uint64_t>(static_cast<std::byte const*>(piece) - memory_.data());
  }

  void move_frontier(std::uint64_t place, std::uint64_t size, UndoLog& log) {
    if (size > limit() - place) throw std::bad_alloc();
    memory_.grow(place + size);
    log.note(&frontier_);
    frontier_ = place + size;
  }

  GrowingBlock memory_;
  std::uint64_t frontier_ = kBegin;
  std::uint64_t last_ = 0;  // the piece that ends at the frontier
  std::uint64_t given_back_ = 0;
  std::array<std::uint64_t, SizeClass::kCount> free_{};
};

}  // namespace multiprocessing::shm
