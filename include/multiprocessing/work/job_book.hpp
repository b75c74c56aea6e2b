// SPDX-License-Identifier: BSL-1.0
// The owner's account of its jobs: their memory, and the slots of the board that they are in.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include <multiprocessing/shm/private_arena.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/board.hpp>

namespace multiprocessing::work {

/// What belongs to a job.
struct JobMemory {
  shm::Range payload;
  shm::Range words;
};

/// Threads: external synchronization, but for make_words().
class JobBook {
 public:
  /// Of the payload this much keeps its pages, so that small jobs need no system call for memory,
  /// and those that come again and again no page faults. Two waves, of a typical second cache each.
  static constexpr std::uint64_t kWarm = std::uint64_t{4} << 20;

  /// Parts of the segment that are nobody else's: for chunk words, for all else that jobs have, and
  /// for a log of each slot.
  JobBook(shm::Segment const& segment, Board& board, shm::Range words, shm::Range payload,
          shm::Range logs)
      : segment_(segment),
        board_(board),
        logs_(logs),
        words_(segment, words, segment.size()),
        payload_(segment, payload, kWarm) {}
  JobBook(JobBook const&) = delete;
  JobBook& operator=(JobBook const&) = delete;

  /// Throws: std::bad_alloc.
  JobMemory take(std::uint64_t payload_bytes, std::uint64_t chunks) {
    JobMemory memory{payload_.allocate(payload_bytes), {}};
    try {
      memory.words = words_.allocate(chunks * sizeof(AtomicChunkWord));
    } catch (...) {
      payload_.release(memory.payload);
      throw;
    }
    return memory;
  }
  void give_back(JobMemory const& memory) noexcept {
    words_.release(memory.words);
    payload_.release(memory.payload);
  }
  /// Memory that stays. Throws: std::bad_alloc.
  shm::Range allocate_for_good(std::uint64_t bytes) { return payload_.allocate(bytes); }

  /// Makes the chunks' words, all Free, of a new generation, which it returns. Threads: safe.
  std::uint32_t make_words(JobMemory const& memory, std::uint32_t chunks) noexcept {
    std::uint32_t generation = 0;  // says that a slot is empty, so no job has it
    while (generation == 0) generation = last_generation_.fetch_add(1) + 1;
    auto* const words = segment_.at<AtomicChunkWord>(memory.words.offset);
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      // relaxed: pairs with nothing; the generation is published behind it
      (new (words + chunk) AtomicChunkWord)
          ->store(ChunkWord{generation, 0, ChunkWord::Phase::Free}.pack(),
                  std::memory_order_relaxed);
    }
    return generation;
  }

  bool has_free_slot() const noexcept { return ~used_slots_ != 0; }

  /// Lets workers see it; who wakes them is the caller. REQUIRES: has_free_slot().
  JobSlot& put_up(JobMemory const& memory, std::uint32_t chunks,
                  std::uint32_t generation) noexcept {
    auto const index = static_cast<std::size_t>(std::countr_one(used_slots_));
    used_slots_ |= std::uint64_t{1} << index;
    auto& log = segment_.at<JobRecord>(memory.payload.offset)->log;
    log.room = log_of(index);
    log.committed = log_ready_[index];
    JobSlot& slot = board_.slots[index];
    // Pairs with the acquires in Board::view().
    slot.chunk_count.store(chunks, std::memory_order_release);
    slot.sequence.store(++last_sequence_, std::memory_order_release);
    slot.words.store(memory.words.offset, std::memory_order_release);
    slot.record.store(memory.payload.offset, std::memory_order_release);
    slot.cursor.store(std::uint64_t{generation} << 32);
    slot.generation.store(generation, std::memory_order_release);
    board_.active.fetch_or(std::uint64_t{1} << index);
    return slot;
  }

  /// REQUIRES: every chunk is settled.
  void retire(JobSlot& slot, JobMemory const& memory) noexcept {
    auto const index = static_cast<std::size_t>(&slot - board_.slots);
    board_.active.fetch_and(~(std::uint64_t{1} << index));
    slot.generation.store(0);
    used_slots_ &= ~(std::uint64_t{1} << index);
    log_ready_[index] = segment_.at<JobRecord>(memory.payload.offset)->log.trim(segment_);
    give_back(memory);
  }

 private:
  /// Where the job in slot `index` keeps what has no size in advance.
  shm::Range log_of(std::size_t index) const noexcept {
    auto const size = logs_.size / Board::kSlots;
    return {logs_.offset + index * size, size};
  }

  // constant
  shm::Segment const& segment_;
  Board& board_;
  shm::Range const logs_;

  std::atomic<std::uint32_t> last_generation_{0};
  // guarded by who calls
  // Chunk words and nothing else, ever: a late reader finds a generation. So its pages stay: 8
  // bytes for each chunk of the largest job so far.
  shm::PrivateArena words_;
  shm::PrivateArena payload_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t used_slots_ = 0;
  std::array<std::uint64_t, Board::kSlots> log_ready_{};  // of each slot's log, what has pages
};

}  // namespace multiprocessing::work
