// SPDX-License-Identifier: BSL-1.0
// What the code of a task sees in its worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>

#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/work/annex_maker.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/task_board.hpp>

namespace multiprocessing::work {

/// Gives up a task's input or result, if there is one: who was killed may have named a block that
/// is gone. REQUIRES: nobody else does so meanwhile.
/// Peer death: who is killed here leaves the block to the next one that gives it up, or frees it.
inline void give_up_block(TaskBoard const& board, std::atomic<std::uint64_t>& named) noexcept {
  auto const id = named.load();
  auto& arena = shm::Heap::instance().arena();
  auto const block = shm::Arena::block_of(id);
  if (id != 0 && arena.exists(id) && arena.owner_of(block) == board.anchor) {
    try {
      arena.disown(block);
    } catch (std::exception const&) {  // it goes with the anchor
    }
  }
  named = 0;  // last: without its name nobody would find it
}

/// Gives up the block of its input, or result. Without one, or without an annex: nothing.
inline void give_up_input(shm::Segment const& segment, TaskBoard const& board,
                          TaskEntry const& task) noexcept {
  if (task.has_annex()) give_up_block(board, board.annex(segment, task).input_id);
}
inline void give_up_result(shm::Segment const& segment, TaskBoard const& board,
                           TaskEntry const& task) noexcept {
  if (task.has_annex()) give_up_block(board, board.annex(segment, task).result_id);
}

/// The bytes of a result, wherever they are. REQUIRES: it has been kept.
inline std::span<std::byte const> kept_result(shm::Segment const& segment, TaskBoard const& board,
                                              TaskEntry& task) {
  if (task.result_bytes != TaskEntry::kInBlock) return board.result(segment, task);
  auto const& annex = board.annex(segment, task);
  return channel::bytes_in(shm::Arena::block_of(annex.result_id.load()), annex.result_size);
}

/// A task that this worker has claimed, and what its code needs of the worker.
/// Threads: one.
struct TaskContext {
  shm::Segment const& segment;
  os::ModuleTable const& modules;
  os::ForkDetector const& fork_detector;
  CodeReader& codes;
  AnnexMaker& annexes;
  TaskBoard& board;
  TaskEntry& task;

  std::span<std::byte const> input() const {
    if (is_in_block()) return channel::bytes_in(input_block(), annex().input_size);
    return board.input(segment, task);
  }
  wire::Parcel parcel() const {
    return is_in_block() ? channel::enclosed_in(input_block()) : wire::Parcel();
  }

  /// See ChunkContext::end_if_forked().
  void end_if_forked() const noexcept {
    if (fork_detector.forked()) os::exit_now(0);
  }

  /// Keeps the result for the owner. Throws: std::bad_alloc.
  void keep(std::span<std::byte const> bytes, wire::Parcel const& parcel) const {
    bool const is_input_kept = task.may_be_retried() && !is_in_block();
    auto const place =
        TaskEntry::place_of_result(bytes.size(), is_input_kept ? task.input_bytes : 0);
    if (place && parcel.empty()) return keep_at(*place, bytes);
    auto const block = channel::enclose(bytes, parcel);
    auto& its = annexes.annex_of(segment, board, task);
    task.result_bytes = TaskEntry::kInBlock;
    its.result_size = bytes.size();
    its.result_id = block.lease->id();
    shm::Heap::instance().arena().give(block.lease->block(), board.anchor);
  }

  /// Gives up the input, unless the task may be run again: the result may be kept for long.
  /// REQUIRES: it has been run.
  void give_up_input() const noexcept {
    if (is_in_block() && !task.may_be_retried()) work::give_up_input(segment, board, task);
  }

 private:
  void keep_at(std::size_t place, std::span<std::byte const> bytes) const {
    if (place >= TaskEntry::kRoom && !bytes.empty()) annexes.annex_of(segment, board, task);
    if (!bytes.empty()) {
      std::memcpy(board.at_place(segment, task, place), bytes.data(), bytes.size());
    }
    task.result_place = static_cast<std::uint8_t>(place);
    task.result_bytes = static_cast<std::uint8_t>(bytes.size());
  }

  TaskAnnex& annex() const noexcept { return board.annex(segment, task); }
  bool is_in_block() const noexcept { return task.input_bytes == TaskEntry::kInBlock; }
  shm::Number input_block() const noexcept { return shm::Arena::block_of(annex().input_id.load()); }
};

/// Runs a task: decodes the function and its arguments, calls it, keeps the result.
using RunTask = void(TaskContext const&);

}  // namespace multiprocessing::work
