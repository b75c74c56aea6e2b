// SPDX-License-Identifier: BSL-1.0
// What a pool's board has of each task: an entry, and an annex for what only some tasks have.
//
//   entries[7]: one cache line                     annexes[7]: has no memory until it is needed
//   word, settled, code, retries, flags, ...       blocks of input and result, backoff, grace
//   room: places 0 to 23                           room: places 24 to 107
//
// An input begins at place 0 or, when it does not fit there, at place 24; a result, at 0 or 24 as
// well, or behind the input that a later try would need. What fits nowhere goes into a block of
// the heap.
//
//   Failure   Who makes an annex and is killed leaves it unmade: the next one makes it again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/sync/event_count.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/retry_on.hpp>

namespace multiprocessing::work {

/// Names a task as long as its entry is not used for another.
struct TaskId {
  std::uint32_t generation;  ///< never 0
  std::uint32_t index;

  std::uint64_t pack() const noexcept { return std::uint64_t{generation} << 32 | index; }
  static TaskId unpack(std::uint64_t packed) noexcept {
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }
  friend bool operator==(TaskId, TaskId) = default;
};

/// How a worker ended that had claimed a task, as ChunkResult says it.
struct TaskDeath {
  std::int32_t pid;
  std::int32_t end_code;
  std::int32_t end_status;
  std::uint32_t death;
};

/// All but the atomic members are written by the owner before the task is published, then by who
/// has claimed it before that settles it; by the nursery while nobody has it, and `late_pid` before
/// it takes the task away. Sizes and places are bytes.
struct alignas(base::kCacheLine) TaskEntry {
  static constexpr std::size_t kRoom = 24;             // what the line has left
  static constexpr std::uint8_t kInBlock = UINT8_MAX;  ///< for a number of bytes
  // In `flags`.
  static constexpr std::uint8_t kTellAll = 1;         ///< somebody waits for any of many
  static constexpr unsigned kRetryOnShift = 1;        ///< from here on, three bits: RetryOn
  static constexpr std::uint8_t kStop = 1 << 4;       ///< it is to stop, and not to be run again
  static constexpr std::uint8_t kHasAnnex = 1 << 5;   ///< kept when the entry is used again
  static constexpr std::uint8_t kWasLate = 1 << 6;    ///< it has thrown after its time
  static constexpr std::uint8_t kEndsFirst = 1 << 7;  ///< late, it is settled behind its worker's
                                                      ///< end: who gave it here may run it again

  AtomicChunkWord word{0};
  sync::EventCount settled;
  CodeNumber code = 0;           ///< a RunTask
  std::uint32_t timeout_ms = 0;  ///< until it is to stop; 0: it has all the time
  std::uint16_t retries = 0;     ///< how many of its runs may go wrong before that is its result
  std::uint16_t failures = 0;    ///< how many have
  std::atomic<std::uint8_t> flags{0};
  std::uint8_t input_bytes = 0;  ///< or kInBlock
  std::uint8_t result_bytes = 0;
  std::uint8_t result_place = 0;
  std::int32_t late_pid = 0;   ///< of the worker that did not do it in time
  std::byte room[kRoom] = {};  ///< of a Lost task: its TaskDeath

  static constexpr std::size_t place_of_input(std::size_t size) noexcept {
    return size <= kRoom ? 0 : kRoom;
  }
  /// Behind the `kept` bytes of an input that a later try would need; nullopt: nowhere.
  static constexpr std::optional<std::size_t> place_of_result(std::size_t size,
                                                              std::size_t kept) noexcept;

  bool has_annex() const noexcept { return (flags.load() & kHasAnnex) != 0; }
  bool is_to_stop() const noexcept { return (flags.load() & kStop) != 0; }
  bool was_late() const noexcept { return (flags.load() & kWasLate) != 0; }
  bool ends_first() const noexcept { return (flags.load() & kEndsFirst) != 0; }
  bool may_be_retried() const noexcept { return failures < retries && !is_to_stop(); }
  bool may_be_retried_after(RetryOn what) const noexcept {
    return may_be_retried() && (flags.load() >> kRetryOnShift & static_cast<unsigned>(what)) != 0;
  }
  ChunkWord read() const noexcept { return ChunkWord::unpack(word.load()); }
};
static_assert(sizeof(TaskEntry) == base::kCacheLine);
static_assert(sizeof(TaskDeath) <= TaskEntry::kRoom);

/// What only some tasks have. Written by: as TaskEntry.
struct alignas(base::kCacheLine) TaskAnnex {
  static constexpr std::size_t kRoom = 84;  // what two lines have left

  // Of what is in blocks of the heap.
  std::atomic<std::uint64_t> input_id{0};  ///< 0: there is none, or it was given up
  std::atomic<std::uint64_t> result_id{0};
  std::uint64_t input_size = 0;
  std::uint64_t result_size = 0;
  // Of tasks with retries.
  std::uint32_t backoff_ms = 0;  ///< from its first failure to its second run; then twice as long
  std::uint32_t deaths = 0;      ///< of workers that it has cost
  // Of tasks with a timeout.
  std::uint32_t grace_ms = 0;  ///< from the time it is to stop to the time it is stopped

  std::byte room[kRoom] = {};
};
static_assert(sizeof(TaskAnnex) == 2 * base::kCacheLine);
static_assert(TaskEntry::kRoom + TaskAnnex::kRoom < TaskEntry::kInBlock);

constexpr std::optional<std::size_t> TaskEntry::place_of_result(std::size_t size,
                                                                std::size_t kept) noexcept {
  auto const kept_here = kept <= kRoom ? kept : 0;
  auto const kept_there = kept - kept_here;
  if (size <= kRoom - kept_here) return kept_here;
  if (size <= TaskAnnex::kRoom - kept_there) return kRoom + kept_there;
  return std::nullopt;
}

}  // namespace multiprocessing::work
