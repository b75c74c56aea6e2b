// SPDX-License-Identifier: BSL-1.0
// A chunk of a job: the items that a worker takes at once. All that happens to it is a change of
// one word; work/board.hpp draws which.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/shm/segment.hpp>

namespace multiprocessing::work {

using WorkerNumber = std::uint16_t;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "a hidden lock is useless between processes");

/// The value of a chunk's word.
struct ChunkWord {
  /// Condemned: claimed by a worker that is about to be killed, and to be run once more after that.
  /// It is not settled(), so it comes before Claimed.
  enum class Phase : std::uint8_t { Free, Condemned, Claimed, Done, Failed, Lost, Dropped, Late };

  static constexpr WorkerNumber kNobody = UINT16_MAX;

  std::uint32_t generation;
  WorkerNumber worker;  ///< of the claimer; 0 while Free; of a task: kNobody when it had none
  Phase phase;

  bool settled() const noexcept { return phase > Phase::Claimed; }
  /// Whether somebody has claimed it, and nobody settled.
  bool is_held() const noexcept { return phase == Phase::Claimed || phase == Phase::Condemned; }
  /// Whether it was the worker's, and is not, though that may not know yet.
  bool was_taken_away() const noexcept {
    return phase == Phase::Dropped || phase == Phase::Late || phase == Phase::Condemned;
  }
  bool is_held_by(std::size_t number) const noexcept { return is_held() && worker == number; }

  std::uint64_t pack() const noexcept {
    return std::uint64_t{generation} << 32 | std::uint64_t{worker} << 8 |
           static_cast<std::uint64_t>(phase);
  }
  static ChunkWord unpack(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word >> 32), static_cast<WorkerNumber>(word >> 8),
            static_cast<Phase>(word & 0xff)};
  }
};
using AtomicChunkWord = std::atomic<std::uint64_t>;

/// What there is to know of a settled chunk beyond its phase. Written before the word is settled,
/// by who settles it.
struct ChunkResult {
  shm::Offset offset = 0;  ///< Done: encoded results. Failed: an ExceptionRecord, or nothing.
  std::uint64_t size = 0;
  std::int32_t pid = 0;       ///< Lost: of the dead worker
  std::int32_t end_code = 0;  ///< CLD_EXITED or CLD_KILLED; 0: nobody knows
  std::int32_t end_status = 0;
  std::uint32_t death = 0;  ///< its number in the board's DeathLog; 0: it has none
};

}  // namespace multiprocessing::work
