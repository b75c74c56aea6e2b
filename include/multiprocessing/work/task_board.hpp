// SPDX-License-Identifier: BSL-1.0
// Tasks: single calls that workers run one after the other, in the order of their submission.
//
// A task has an entry, and its entry one word, which changes as a chunk's does (work/board.hpp). A
// ring tells the order; it names entries, and an entry is used again as soon as its task is over,
// so the ring names the entry's generation, too: who finds another one in the word moves on.
//
//   owner                        shared segment                    worker 3, claims and settles
//
//   entry 7: generation 2, Free --> entries[7]
//   ring: tail + 1 ---------------> slots[tail] = {2, 7}  -------> page 3: {2, 7}
//                                   entries[7] Free -------------> Claimed(3); cursor + 1
//   waits at entries[7].settled <-- Done, notify <---------------- result in the entry, or a block
//
//   Failure   A worker says in its page what it is about to claim, so of a dead one the nursery
//             looks at one entry: Claimed by it, then it is Lost, or goes into a second ring, which
//             the nursery alone fills, to be run once more. Its result may be in a block already,
//             named before it was given away.
//   Too late  The nursery, or the owner that gives up a claimed task, settles it in the worker's
//             place, and has the nursery kill the worker. A worker that finds its task settled, or
//             Condemned to be run once more, ends by itself, so no other task is ever hit.
//   Once more A task whose exception is worth another try stays Claimed until its worker has handed
//             it back to the nursery, which alone knows when its turn is. Until then it is Free, so
//             who has read its name in a ring before may still claim it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/event_count.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/idle_workers.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::work {

/// A name, and the lowest bits of its position in a ring: which of two neighbours it is.
struct NamedAt {
  static constexpr unsigned kIndexBits = 22;

  TaskId id;
  std::uint64_t position;

  std::uint64_t pack() const noexcept { return id.pack() | (position << kIndexBits & kPosition); }
  static bool is_of(std::uint64_t packed, std::uint64_t position) noexcept {
    return (packed & kPosition) == (position << kIndexBits & kPosition);
  }
  static TaskId name_in(std::uint64_t packed) noexcept {
    return TaskId::unpack(packed & ~kPosition);
  }

 private:
  static constexpr std::uint64_t kPosition = UINT32_MAX & ~((std::uint64_t{1} << kIndexBits) - 1);
};

/// The shared part. Threads and processes: all members safe, unless they say who may call them.
class TaskBoard {
 public:
  // constant, written by the owner
  shm::Offset entries = 0;
  shm::Offset annexes = 0;
  std::uint32_t capacity = 0;  ///< entries, and slots of each ring; a power of two
  std::uint64_t anchor = 0;    ///< the id of the block that all blocks of tasks belong to
  CodeTable codes;

  std::atomic<std::uint32_t> entries_ready{0};  ///< have pages; more as they are used first

  /// Names of tasks, in order. One process publishes.
  struct Ring {
    shm::Offset slots = 0;  // constant
    std::atomic<std::uint64_t> tail{0};
    /// The last slot once more, in the line that whoever waits for it has anyway; see NamedAt.
    std::atomic<std::uint64_t> newest{0};
    std::atomic<std::uint64_t> cursor{0};  ///< moved on by anybody
  };
  // A line that goes back and forth once for each task.
  alignas(base::kCacheLine) Ring submitted;  ///< by the owner
  Searcher searcher;
  std::atomic<std::int32_t> owner_processor{sync::AdaptiveSpin::kAnywhere};  ///< on which it was

  alignas(base::kCacheLine) Ring retried;  ///< by the nursery

  /// Counts tasks with kTellAll that have settled, and is notified then.
  alignas(base::kCacheLine) std::atomic<std::uint64_t> told{0};
  sync::EventCount news;

  TaskEntry& entry(shm::Segment const& segment, std::uint32_t index) const noexcept {
    return segment.at<TaskEntry>(entries)[index];
  }
  /// Addresses without memory, unless the task has an annex.
  TaskAnnex& annex(shm::Segment const& segment, TaskEntry const& task) const noexcept {
    return segment.at<TaskAnnex>(annexes)[index_of(segment, task)];
  }
  /// Where a part of an input or result lies. REQUIRES: an annex, for places that are there.
  std::byte* at_place(shm::Segment const& segment, TaskEntry& task,
                      std::size_t place) const noexcept {
    if (place < TaskEntry::kRoom) return task.room + place;
    return annex(segment, task).room + (place - TaskEntry::kRoom);
  }
  /// What is not in a block.
  std::span<std::byte const> input(shm::Segment const& segment, TaskEntry& task) const noexcept {
    auto const place = TaskEntry::place_of_input(task.input_bytes);
    return {at_place(segment, task, place), std::size_t{task.input_bytes}};
  }
  std::span<std::byte const> result(shm::Segment const& segment, TaskEntry& task) const noexcept {
    return {at_place(segment, task, task.result_place), std::size_t{task.result_bytes}};
  }

  std::atomic<std::uint64_t>& slot(shm::Segment const& segment, Ring const& ring,
                                   std::uint64_t position) const noexcept {
    return segment.at<std::atomic<std::uint64_t>>(ring.slots)[position & (capacity - 1)];
  }

  /// REQUIRES: the only process that does so with this ring; the slot has its page, and room is
  /// there: tail - cursor < capacity.
  void publish(shm::Segment const& segment, Ring& ring, TaskId id) noexcept {
    auto const tail = ring.tail.load();
    // Pair with the loads in name_at(), behind that of the tail.
    slot(segment, ring, tail).store(id.pack(), std::memory_order_release);
    ring.newest.store(NamedAt{id, tail}.pack(), std::memory_order_release);
    ring.tail.store(tail + 1);
  }

  /// Claims the next task for `worker`, which says so in `page` before. Peer death: see above.
  std::optional<TaskId> claim(shm::Segment const& segment, WorkerNumber worker,
                              std::atomic<std::uint64_t>& page) noexcept {
    for (auto* const ring : {&retried, &submitted}) {
      for (;;) {
        auto const position = ring->cursor.load();
        if (position >= ring->tail.load()) break;
        auto const id = name_at(segment, *ring, position);
        os::prefetch_for_writing(&ring->cursor);
        // Pairs with nothing: before the claim in the order of this process, which may be killed.
        page.store(id.pack(), std::memory_order_release);
        auto& task = entry(segment, id.index);
        auto expected = ChunkWord{id.generation, 0, ChunkWord::Phase::Free}.pack();
        bool const mine = task.word.compare_exchange_strong(
            expected, ChunkWord{id.generation, worker, ChunkWord::Phase::Claimed}.pack());
        // Whoever finds it claimed, or given up, moves on: nobody else may.
        auto seen = position;
        ring->cursor.compare_exchange_strong(seen, position + 1);
        if (mine) return id;
      }
    }
    return std::nullopt;
  }

  /// REQUIRES: it has been published.
  TaskId name_at(shm::Segment const& segment, Ring const& ring,
                 std::uint64_t position) const noexcept {
    // The tail is read behind: the newest is this one, or the next, which is not published yet.
    auto const newest = ring.newest.load();
    if (ring.tail.load() == position + 1 && NamedAt::is_of(newest, position)) {
      return NamedAt::name_in(newest);
    }
    return TaskId::unpack(slot(segment, ring, position).load());
  }

  /// Published and not claimed; some may have been given up.
  std::uint64_t waiting() const noexcept {
    auto const in = [](Ring const& ring) {
      auto const cursor = ring.cursor.load();  // first: it never passes the tail
      return ring.tail.load() - cursor;
    };
    return in(submitted) + in(retried);
  }
  bool has_work() const noexcept {
    return submitted.cursor.load() < submitted.tail.load() ||
           retried.cursor.load() < retried.tail.load();
  }

  /// Moves the ring's cursor behind what is not to be claimed any more. For who needs room.
  void skip_settled(shm::Segment const& segment, Ring& ring) noexcept {
    for (auto position = ring.cursor.load(); position < ring.tail.load();) {
      auto const id = name_at(segment, ring, position);
      auto const free = ChunkWord{id.generation, 0, ChunkWord::Phase::Free}.pack();
      if (entry(segment, id.index).word.load() == free) return;
      if (ring.cursor.compare_exchange_strong(position, position + 1)) ++position;
    }
  }

  /// Gives up all that nobody has claimed. What is published meanwhile may stay.
  void drop_free(shm::Segment const& segment) noexcept {
    for (std::uint32_t index = 0; index < entries_ready.load(); ++index) {
      auto& task = entry(segment, index);
      auto const word = task.read();
      if (word.generation == 0 || word.phase != ChunkWord::Phase::Free) continue;
      settle(task, word, ChunkWord::Phase::Dropped);
    }
  }

  /// From `from` to a settled phase. False when it was in another phase than that.
  bool settle(TaskEntry& task, ChunkWord from, ChunkWord::Phase phase) noexcept {
    auto expected = from.pack();
    auto const worker = from.phase == ChunkWord::Phase::Free ? ChunkWord::kNobody : from.worker;
    auto const settled = ChunkWord{from.generation, worker, phase}.pack();
    if (!task.word.compare_exchange_strong(expected, settled)) return false;
    tell(task);
    return true;
  }

  /// Wakes who waits for the task. Once more does no harm.
  void tell(TaskEntry& task) noexcept {
    task.settled.notify_all();
    if ((task.flags.load() & TaskEntry::kTellAll) != 0) tell_all();
  }
  void tell_all() noexcept {
    told.fetch_add(1);
    news.notify_all();
  }

  /// Which of the entries it is.
  std::uint64_t index_of(shm::Segment const& segment, TaskEntry const& task) const noexcept {
    return static_cast<std::uint64_t>(&task - segment.at<TaskEntry>(entries));
  }
};

}  // namespace multiprocessing::work
