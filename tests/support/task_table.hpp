// SPDX-License-Identifier: BSL-1.0
// The shared part of a pool with tasks and without processes, to be looked at step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/task_book.hpp>
#include <multiprocessing/work/task_context.hpp>
#include <multiprocessing/work/worker.hpp>

#include "bytes.hpp"

namespace support {

namespace work = multiprocessing::work;
namespace shm = multiprocessing::shm;
using Phase = work::ChunkWord::Phase;

/// Blocks of the heap that are in use, after those of the dead have been freed.
inline shm::Number used_blocks() {
  auto& arena = shm::Heap::instance().arena();
  arena.bury_the_dead();
  return arena.used_blocks();
}

/// Room for `capacity` tasks, a power of two.
class TaskTable {
 public:
  explicit TaskTable(std::uint64_t capacity = 8)
      : segment_("test", kRoom + size(capacity), kRoom + size(capacity)),
        board_(make_board()),
        book_(segment_, *board_, {kRoom, size(capacity)}) {}

  shm::Segment const& segment() const noexcept { return segment_; }
  work::Board& board() noexcept { return *board_; }
  work::TaskBoard& tasks() noexcept { return board_->tasks; }
  work::TaskBook& book() noexcept { return book_; }
  std::atomic<std::uint64_t>& page(work::WorkerNumber worker) noexcept {
    return board_->pages[worker].task;
  }
  work::TaskEntry& entry(work::TaskId id) noexcept { return tasks().entry(segment_, id.index); }
  Phase phase(work::TaskId id) noexcept { return entry(id).read().phase; }

  /// A task of the code `run`.
  work::TaskId publish(work::RunTask* run, std::span<std::byte const> input = {},
                       std::uint16_t retries = 0) {
    auto draft = work::TaskDraft::of(book_.codes().number_of(run), input, {});
    draft.terms.retries = retries;
    return book_.publish(draft);
  }
  /// One that is to be looked at, not run.
  work::TaskId publish(std::string_view input = {}) {
    auto draft = work::TaskDraft::of(0, bytes_of(input), {});
    return book_.publish(draft);
  }
  auto claim(work::WorkerNumber worker) noexcept {
    return tasks().claim(segment_, worker, page(worker));
  }
  /// From claimed by that worker.
  bool settle(work::TaskId id, work::WorkerNumber worker, Phase phase = Phase::Done) noexcept {
    return tasks().settle(entry(id), {id.generation, worker, Phase::Claimed}, phase);
  }
  /// The nursery's part of a retry.
  void free_again(work::TaskId id) noexcept {
    entry(id).word = work::ChunkWord{id.generation, 0, Phase::Free}.pack();
    tasks().publish(segment_, tasks().retried, id);
  }
  /// The next task, by a worker in this process. False: there is none.
  bool run_one(work::WorkerNumber worker = 0) {
    auto const modules = multiprocessing::os::ModuleTable::now();
    auto const wake = multiprocessing::os::create_eventfd();
    return work::Worker(segment_, *board_, modules, worker, wake).run_task();
  }
  /// What it has kept. REQUIRES: as TaskGroup::result().
  std::span<std::byte const> result(work::TaskId id) {
    return work::kept_result(segment_, tasks(), entry(id));
  }
  /// REQUIRES: it has one.
  work::TaskAnnex& annex(work::TaskId id) noexcept { return tasks().annex(segment_, entry(id)); }
  /// 0: it is in no block.
  std::uint64_t input_block(work::TaskId id) noexcept {
    return entry(id).has_annex() ? annex(id).input_id.load() : 0;
  }
  std::uint64_t result_block(work::TaskId id) noexcept {
    return entry(id).has_annex() ? annex(id).result_id.load() : 0;
  }

 private:
  static constexpr shm::Offset kRoom = std::uint64_t{1} << 20;
  static std::uint64_t size(std::uint64_t capacity) {
    return work::CodeTable::kSize + capacity * (sizeof(work::TaskEntry) + sizeof(work::TaskAnnex) +
                                                2 * sizeof(std::uint64_t));
  }
  work::Board* make_board() {
    segment_.commit({work::Board::kPlace, segment_.size() - work::Board::kPlace});
    return new (segment_.data(work::Board::kPlace)) work::Board;
  }

  shm::Segment segment_;
  work::Board* board_;
  work::TaskBook book_;
};

}  // namespace support
