// SPDX-License-Identifier: BSL-1.0
// What the code of a task sees in its worker.
#pragma once

#include <cstddef>
#include <cstring>
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

/// Gives up what a worker has kept, if it came so far: one that was killed may have named a block
/// that is gone. Throws: std::system_error.
inline void forget_result(TaskBoard const& board, TaskEntry& task) {
  auto const result = task.result_id.exchange(0);
  auto& arena = shm::Heap::instance().arena();
  auto const block = shm::Arena::block_of(result);
  if (result == 0 || !arena.exists(result) || arena.owner_of(block) != board.anchor) return;
  arena.disown(block);
}

struct TaskContext {
  os::ModuleTable const& modules;
  os::ForkDetector const& fork_detector;
  CodeReader& codes;
  TaskBoard& board;
  TaskEntry& task;

  std::span<std::byte const> input() const {
    if (is_in_block()) return channel::bytes_in(task.input_block, task.input_size);
    return {task.room, static_cast<std::size_t>(task.input_size)};
  }
  wire::Parcel parcel() const {
    return is_in_block() ? channel::enclosed_in(task.input_block) : wire::Parcel();
  }

  /// See ChunkContext::end_if_forked().
  void end_if_forked() const noexcept {
    if (fork_detector.forked()) os::exit_now(0);
  }

  /// Keeps the result for the owner. Throws: std::bad_alloc.
  void keep(std::span<std::byte const> bytes, wire::Parcel const& parcel) const {
    // At the end of the room: in front is what a retry would need.
    bool const may_be_retried = task.deaths < task.retries;
    auto const used = may_be_retried && !is_in_block() ? task.input_size : 0;
    task.result_size = bytes.size();
    if (parcel.empty() && bytes.size() <= TaskEntry::kRoom - used) {
      if (!bytes.empty()) {
        std::memcpy(task.room + TaskEntry::kRoom - bytes.size(), bytes.data(), bytes.size());
      }
      return;
    }
    auto const block = channel::enclose(bytes, parcel);
    task.result_id = block.lease->id();
    shm::Heap::instance().arena().give(block.lease->block(), board.anchor);
  }

 private:
  bool is_in_block() const noexcept { return task.input_block != TaskEntry::kNoBlock; }
};

/// Runs a task: decodes the function and its arguments, calls it, keeps the result.
using RunTask = void(TaskContext const&);

}  // namespace multiprocessing::work
