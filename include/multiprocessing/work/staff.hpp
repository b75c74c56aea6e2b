// SPDX-License-Identifier: BSL-1.0
// Who does what a crew puts up: a nursery with its workers, or somebody elsewhere.
#pragma once

#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::work {

/// Holds the board's nursery_life, so that its end is seen by whoever waits. Threads: safe.
class Staff {
 public:
  Staff() = default;
  Staff(Staff const&) = delete;
  Staff& operator=(Staff const&) = delete;
  virtual ~Staff() = default;

  /// Whether it has no part in this machine's shared memory, nor in the board's sleepers: so it is
  /// told of each task, by wake(), and what it does can take no shared objects along.
  virtual bool is_elsewhere() const noexcept = 0;
  /// Something on the board has changed that it looks at.
  virtual void wake() noexcept = 0;
  /// The task was settled while it ran.
  virtual void take_away(TaskId task) noexcept = 0;
  /// The task has TaskEntry::kStop now.
  virtual void ask_to_stop(TaskId task) noexcept = 0;

  /// Blocks: until it has ended; false: the deadline has passed before.
  virtual bool wait_until(base::Deadline deadline) = 0;
  /// It does not end as fast as it should.
  virtual void kill() noexcept = 0;
  /// How it ended, for people. REQUIRES: it has, or is about to. Blocks: until then.
  virtual std::string how_it_ended() = 0;
};

}  // namespace multiprocessing::work
