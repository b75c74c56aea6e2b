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
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/task_board.hpp>

namespace multiprocessing::work {

/// Gives up a task's input or result, if there is one: who was killed may have named a block that
/// is gone.
inline void give_up_block(TaskBoard const& board, std::atomic<std::uint64_t>& named) noexcept {
  auto const id = named.exchange(0);
  auto& arena = shm::Heap::instance().arena();
  auto const block = shm::Arena::block_of(id);
  if (id == 0 || !arena.exists(id) || arena.owner_of(block) != board.anchor) return;
  try {
    arena.disown(block);
  } catch (std::exception const&) {  // it goes with the anchor
  }
}

struct TaskContext {
  os::ModuleTable const& modules;
  os::ForkDetector const& fork_detector;
  CodeReader& codes;
  TaskBoard& board;
  TaskEntry& task;

  std::span<std::byte const> input() const {
    if (is_in_block()) return channel::bytes_in(input_block(), task.input_size);
    return {task.room, std::size_t{task.input_bytes}};
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
    // Behind what a retry would need.
    auto const used = task.may_be_retried() && !is_in_block() ? task.input_bytes : std::uint8_t{0};
    if (parcel.empty() && bytes.size() <= TaskEntry::kRoom - used) {
      if (!bytes.empty()) std::memcpy(task.room + used, bytes.data(), bytes.size());
      task.result_place = used;
      task.result_bytes = static_cast<std::uint8_t>(bytes.size());
      return;
    }
    auto const block = channel::enclose(bytes, parcel);
    task.result_bytes = TaskEntry::kInBlock;
    task.result_size = bytes.size();
    task.result_id = block.lease->id();
    shm::Heap::instance().arena().give(block.lease->block(), board.anchor);
  }

  /// Gives up the input, unless the task may be run again: the result may be kept for long.
  /// REQUIRES: it has been run.
  void give_up_input() const noexcept {
    if (is_in_block() && !task.may_be_retried()) give_up_block(board, task.input_id);
  }

 private:
  bool is_in_block() const noexcept { return task.input_bytes == TaskEntry::kInBlock; }
  shm::Number input_block() const noexcept { return shm::Arena::block_of(task.input_id.load()); }
};

/// Runs a task: decodes the function and its arguments, calls it, keeps the result.
using RunTask = void(TaskContext const&);

}  // namespace multiprocessing::work
