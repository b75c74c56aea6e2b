// SPDX-License-Identifier: BSL-1.0
// Gives tasks of a board what only some have.
#pragma once

#include <cstdint>
#include <new>

#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::work {

/// Makes annexes, with memory for some neighbours at a time: a system call for each would cost more
/// than all else that is done with a task.
/// Threads: external synchronization. Processes: each has its own.
class AnnexMaker {
 public:
  /// The one that it has, or a new one. For who may write to the task. Throws: std::bad_alloc.
  TaskAnnex& annex_of(shm::Segment const& segment, TaskBoard const& board, TaskEntry& task) {
    auto& annex = board.annex(segment, task);
    if (task.has_annex()) return annex;
    auto const group = board.index_of(segment, task) / kAtATime;
    if (group != group_with_memory_) {
      constexpr auto kSize = kAtATime * sizeof(TaskAnnex);
      segment.commit({board.annexes + group * kSize, kSize});
      group_with_memory_ = group;
    }
    new (&annex) TaskAnnex;
    task.flags |= TaskEntry::kHasAnnex;
    return annex;
  }

 private:
  static constexpr std::uint64_t kAtATime =
      4096 / sizeof(TaskAnnex);  // a page: what is committed at least

  std::uint64_t group_with_memory_ = UINT64_MAX;  // the last one; memory stays
};

}  // namespace multiprocessing::work
