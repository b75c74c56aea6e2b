// SPDX-License-Identifier: BSL-1.0
// The owner's account of its tasks: which entries are free, and what belongs to those in use.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/work/annex_maker.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::work {

/// What does not change from task to task of a submission.
struct TaskTerms {
  std::uint16_t retries = 0;
  RetryOn retry_on = RetryOn::crash;
  std::uint32_t timeout_ms = 0;  ///< of each task; 0: none
  std::uint32_t grace_ms = 0;    ///< behind that
  std::uint32_t backoff_ms = 0;
  bool tells_all = false;   ///< see TaskEntry::kTellAll
  bool ends_first = false;  ///< see TaskEntry::kEndsFirst
};

/// A task that is not in the board yet.
struct TaskDraft {
  CodeNumber code = 0;
  std::span<std::byte const> input;
  channel::Enclosed block = {};  ///< the input, where it is too large for the task, or has handles
  TaskTerms terms = {};

  /// In one of the two rooms, not across both.
  static constexpr std::size_t kMostWithoutBlock = std::max(TaskEntry::kRoom, TaskAnnex::kRoom);

  /// Throws: std::bad_alloc.
  static TaskDraft of(CodeNumber code, std::span<std::byte const> input, wire::Parcel const& parcel,
                      TaskTerms const& terms = {}) {
    TaskDraft draft{.code = code, .input = input, .terms = terms};
    if (input.size() > kMostWithoutBlock || !parcel.empty()) {
      draft.block = channel::enclose(input, parcel);
    }
    return draft;
  }
};

/// Threads: external synchronization.
class TaskBook {
 public:
  /// `room`: for all that tasks need of the segment. Throws: std::bad_alloc.
  TaskBook(shm::Segment const& segment, Board& pool, shm::Range room)
      : segment_(segment), pool_(pool), board_(pool.tasks), codes_(segment, board_.codes) {
    auto& board = board_;
    board.anchor = anchor_.id();
    auto next = room.offset;
    auto const take = [&](std::uint64_t size) { return std::exchange(next, next + size); };
    board.codes.places = take(CodeTable::kSize);
    auto const each = sizeof(TaskEntry) + sizeof(TaskAnnex) + 2 * sizeof(std::uint64_t);
    auto const most = std::min<std::uint64_t>((room.end() - next) / each, kMost);
    board.capacity = static_cast<std::uint32_t>(std::bit_floor(most));
    board.entries = take(board.capacity * sizeof(TaskEntry));
    board.annexes = take(board.capacity * sizeof(TaskAnnex));
    board.submitted.slots = take(board.capacity * sizeof(std::uint64_t));
    board.retried.slots = take(board.capacity * sizeof(std::uint64_t));
  }
  TaskBook(TaskBook const&) = delete;
  TaskBook& operator=(TaskBook const&) = delete;

  CodeWriter& codes() noexcept { return codes_; }

  /// Puts the task up for the workers to claim; who wakes them is the caller.
  /// Throws: std::bad_alloc when there are too many.
  TaskId publish(TaskDraft& draft) {
    sweep(2);
    auto& ring = board_.submitted;
    os::prefetch_for_writing(&ring.tail);  // which workers look at
    auto const tail = ring.tail.load();
    if (tail - ring.cursor.load() == board_.capacity) board_.skip_settled(segment_, ring);
    if (tail - ring.cursor.load() == board_.capacity) throw std::bad_alloc();
    if (tail == slots_ready_ && tail < board_.capacity) {
      slots_ready_ = commit(ring.slots, tail, sizeof(std::uint64_t));
    }
    auto const index = take_entry();
    auto& task = board_.entry(segment_, index);
    try {
      write(task, draft);
    } catch (...) {
      free_.push_back(index);
      throw;
    }
    TaskId id{task.read().generation + 1, index};
    if (id.generation == 0) id.generation = 1;
    // Pairs with the claim of the word, for those who know the name from before.
    task.word.store(ChunkWord{id.generation, 0, ChunkWord::Phase::Free}.pack(),
                    std::memory_order_release);
    auto const processor = os::this_processor();
    if (board_.owner_processor.load() != processor) board_.owner_processor = processor;
    board_.publish(segment_, ring, id);
    // A worker had it last: on its way here until the next task is written.
    if (!free_.empty()) os::prefetch_for_writing(&board_.entry(segment_, free_.back()));
    return id;
  }

  /// Nobody asks for the task any more: it is forgotten, when it is settled at last.
  void release(TaskId id) noexcept {
    if (is_over(id.index)) {
      free(id.index);
    } else {
      try {
        abandoned_.push_back(id.index);
      } catch (std::bad_alloc const&) {  // its entry is lost to this pool
      }
    }
  }

 private:
  static constexpr std::uint32_t kMost = std::uint32_t{1} << NamedAt::kIndexBits;
  // Tables get their pages by steps: as much again as they have.
  static constexpr std::uint64_t kSmallestStep = 4096;
  static constexpr std::uint64_t kLargestStep = std::uint64_t{1} << 20;

  /// Makes pages for a table from its entry `index` on; returns up to which.
  std::uint64_t commit(shm::Offset table, std::uint64_t index, std::uint64_t size) const {
    auto const step = std::clamp(index * size, kSmallestStep, kLargestStep);
    auto const count = std::min<std::uint64_t>(step / size, board_.capacity - index);
    shm::Range const range{table + index * size, count * size};
    segment_.commit(range);
    segment_.populate(range);
    return index + count;
  }

  /// All but the word. Throws: std::bad_alloc.
  void write(TaskEntry& task, TaskDraft const& draft) {
    auto const& terms = draft.terms;
    auto const input = draft.input;
    bool const is_in_block = draft.block.lease != nullptr;
    task.code = draft.code;
    task.retries = terms.retries;
    task.timeout_ms = terms.timeout_ms;
    task.failures = 0;
    task.result_bytes = 0;
    task.input_bytes = is_in_block ? TaskEntry::kInBlock : static_cast<std::uint8_t>(input.size());
    auto flags = unsigned{task.flags.load()} & TaskEntry::kHasAnnex;
    if (terms.tells_all) flags |= TaskEntry::kTellAll;
    if (terms.ends_first) flags |= TaskEntry::kEndsFirst;
    if (terms.retries != 0) {
      flags |= static_cast<unsigned>(terms.retry_on) << TaskEntry::kRetryOnShift;
    }
    // relaxed: pairs with nothing; it is published behind it
    task.flags.store(static_cast<std::uint8_t>(flags), std::memory_order_relaxed);
    // An annex has that of the task before.
    bool const writes_grace = terms.timeout_ms != 0 && (terms.grace_ms != 0 || task.has_annex());
    if (terms.retries != 0 || writes_grace || is_in_block || input.size() > TaskEntry::kRoom) {
      auto& annex = annexes_.annex_of(segment_, board_, task);
      annex.backoff_ms = terms.backoff_ms;
      annex.deaths = 0;
      annex.grace_ms = terms.grace_ms;
      if (is_in_block) {
        annex.input_size = input.size();
        annex.input_id = draft.block.lease->id();
        shm::Heap::instance().arena().give(draft.block.lease->block(), board_.anchor);
      }
    }
    if (!is_in_block && !input.empty()) {
      auto* const place = board_.at_place(segment_, task, TaskEntry::place_of_input(input.size()));
      std::memcpy(place, input.data(), input.size());
    }
  }

  std::uint32_t take_entry() {
    if (free_.empty() && made_ == board_.capacity) sweep(abandoned_.size());
    if (!free_.empty()) {
      auto const index = free_.back();
      free_.pop_back();
      return index;
    }
    if (made_ == board_.capacity) throw std::bad_alloc();
    if (made_ == board_.entries_ready.load()) {
      auto const ready = commit(board_.entries, made_, sizeof(TaskEntry));
      free_.reserve(ready);  // so that free() needs no memory
      board_.entries_ready = static_cast<std::uint32_t>(ready);
    }
    new (&board_.entry(segment_, made_)) TaskEntry;
    return made_++;
  }

  /// Whether it is settled, and nobody looks at it any more. One that was taken from its worker is
  /// read and written by that until it has been killed, and by the nursery until it has another.
  bool is_over(std::uint32_t index) const noexcept {
    auto const word = board_.entry(segment_, index).read();
    if (!word.settled()) return false;
    if (word.worker == ChunkWord::kNobody || !word.was_taken_away()) return true;
    TaskId const id{word.generation, index};
    return pool_.pages[word.worker].task.load() != id.pack();
  }

  void free(std::uint32_t index) noexcept {
    auto& task = board_.entry(segment_, index);
    if (task.input_bytes == TaskEntry::kInBlock) give_up_input(segment_, board_, task);
    if (task.result_bytes == TaskEntry::kInBlock) give_up_result(segment_, board_, task);
    free_.push_back(index);
  }

  /// Looks at up to `count` of those that nobody asks for.
  void sweep(std::size_t count) noexcept {
    for (; count != 0 && !abandoned_.empty(); --count) {
      auto const index = abandoned_.front();
      abandoned_.pop_front();
      if (is_over(index)) {
        free(index);
      } else {
        abandoned_.push_back(index);
      }
    }
  }

  shm::Segment const& segment_;
  Board& pool_;
  TaskBoard& board_;
  shm::Lease const anchor_{sizeof(std::uint64_t)};  // what blocks of tasks belong to
  CodeWriter codes_;
  AnnexMaker annexes_;
  std::uint32_t made_ = 0;         // entries that have ever been used
  std::uint64_t slots_ready_ = 0;  // have pages
  std::vector<std::uint32_t> free_;
  std::deque<std::uint32_t> abandoned_;
};

}  // namespace multiprocessing::work
