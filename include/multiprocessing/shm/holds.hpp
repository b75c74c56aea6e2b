// SPDX-License-Identifier: BSL-1.0
// Which participant of an arena holds which block: a bit each, written by that participant alone.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/participants.hpp>
#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::shm {

/// Threads and processes: see each member; "guarded" REQUIRES the arena's guard.
class Holds {
 public:
  explicit Holds(Segment const& segment) noexcept : segment_(segment) {}
  Holds(Holds const&) = delete;
  Holds& operator=(Holds const&) = delete;

  /// Safe.
  bool holds(Number who, Number block) const noexcept {
    return (of_64(who, block) & bit(block)) != 0;
  }
  /// The bits of the 64 blocks that `block` is among. Safe.
  std::uint64_t of_64(Number who, Number block) const noexcept {
    return has_row_for(who, block) ? row(who)[block / 64].load() : 0;
  }
  static constexpr std::uint64_t bit(Number block) noexcept {
    return std::uint64_t{1} << (block % 64);
  }

  /// False when there is no memory for it yet, see add(). Safe.
  bool try_add(Number who, Number block) noexcept {
    if (!has_row_for(who, block)) return false;
    row(who)[block / 64].fetch_or(bit(block));
    return true;
  }
  /// Throws: std::bad_alloc. Guarded.
  void add(Number who, Number block) {
    commit_row(who, block);
    try_add(who, block);
  }
  /// Guarded, so that whoever looks for holders under the guard misses none that comes meanwhile.
  void remove(Number who, Number block) noexcept {
    if (has_row_for(who, block)) row(who)[block / 64].fetch_and(~bit(block));
  }

  /// Those of `from` among the first `blocks`. Throws: std::bad_alloc. Guarded.
  void copy(Number from, Number to, Number blocks) {
    for (Number block = 0; block < blocks && has_row_for(from, block); block += 64) {
      auto const held = of_64(from, block);
      if (held == 0) continue;
      commit_row(to, block);
      row(to)[block / 64] = held;
    }
  }
  /// Guarded.
  void clear(Number who) noexcept {
    auto const words = participant(who).row_pages() * kWordsAPage;
    for (std::uint32_t word = 0; word < words; ++word) {
      if (row(who)[word].load() != 0) row(who)[word] = 0;
    }
  }

 private:
  static constexpr std::uint32_t kWordsAPage = ArenaLayout::kSmallPage / 8;

  Participant& participant(Number who) const noexcept {
    return segment_.at<Participant>(ArenaLayout::kTable)[who];
  }
  std::atomic<std::uint64_t>* row(Number who) const noexcept {
    return segment_.at<std::atomic<std::uint64_t>>(ArenaLayout::kRows +
                                                   who * ArenaLayout::kRowSize);
  }
  bool has_row_for(Number who, Number block) const noexcept {
    return block / 64 < participant(who).row_pages() * kWordsAPage;
  }
  void commit_row(Number who, Number block) {
    while (!has_row_for(who, block)) {
      auto const begin = participant(who).row_pages() * ArenaLayout::kSmallPage;
      segment_.commit(
          {ArenaLayout::kRows + who * ArenaLayout::kRowSize + begin, ArenaLayout::kSmallPage});
      participant(who).add_row_page();
    }
  }

  Segment const& segment_;
};

}  // namespace multiprocessing::shm
