// SPDX-License-Identifier: BSL-1.0
// Where an arena's tables lie in its segment: a file format.
//
//   kHeader    guard, frontiers, heads of lists
//   kTable     the participants
//   kEntries   a table that users fill
//   kBlockTable, kRows, kEnd: the blocks' table, a row of bits a participant, the blocks
#pragma once

#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::shm {

/// Of a participant or of a block, in the tables of its arena.
using Number = std::uint32_t;

struct ArenaLayout {
  static constexpr Number kParticipants = 4096;
  static constexpr Number kBlocks = Number{1} << 20;
  static constexpr Number kNobody = UINT32_MAX;

  // Pages of 4 to 64 KiB occur. What must not share one is a multiple of the largest apart; what
  // needs one is rounded to the smallest, and the kernel rounds up where its are larger.
  static constexpr std::uint64_t kPage = std::uint64_t{64} << 10;
  static constexpr std::uint64_t kSmallPage = 4096;
  // How far ahead tables and small blocks get their pages: few system calls, little waste.
  static constexpr std::uint64_t kStep = kPage;

  // What a Participant takes at most: pthread's mutexes are larger on some processors.
  static constexpr std::uint64_t kParticipantSize = 2 * base::kCacheLine;
  static constexpr std::uint64_t kEntriesSize = std::uint64_t{2} << 20;
  static constexpr std::uint64_t kRowSize = kBlocks / 8;  // bytes

  static constexpr Offset kHeader = kSmallPage;
  static constexpr Offset kTable = kPage;
  static constexpr Offset kEntries = kTable + kParticipants * kParticipantSize;
  static constexpr Offset kBlockTable = kEntries + kEntriesSize;
  static constexpr Offset kRows = kBlockTable + kBlocks * base::kCacheLine;
  static constexpr Offset kEnd = kRows + kParticipants * kRowSize;
  static_assert(kEntries % kPage == 0 && kBlockTable % kPage == 0 && kRows % kPage == 0);

  // Tables, and as much again and more for blocks.
  static constexpr std::uint64_t kSmallest = std::uint64_t{2} << 30;
  static_assert(2 * kEnd < kSmallest);

  /// Gives pages to the place `index` of a table that grows by one. Throws: std::bad_alloc.
  static void commit_entry(Segment const& segment, Offset table, std::uint64_t size, Number index) {
    auto const begin = table + index * size;
    auto const before = index == 0 ? table : round_up(begin, kStep);
    auto const end = round_up(begin + size, kStep);
    if (before < end) segment.commit({before, end - before});
  }
};

}  // namespace multiprocessing::shm
