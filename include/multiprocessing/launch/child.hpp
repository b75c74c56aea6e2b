// SPDX-License-Identifier: BSL-1.0
// A process that this process started, or had started by another: waited for and signalled by
// pidfd, reaped once.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/launch/process_tree.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

/// Threads: safe; any number may wait at once, and all of them learn the status.
class Child {
 public:
  /// Of a child that runs, or has ended and not been reaped. Never fails for want of a descriptor:
  /// the process runs already, so it must be waited for in any case.
  explicit Child(pid_t pid);

  /// Of a process that `reaper` has forked, and reaps; it tells the end through `reports`.
  Child(pid_t pid, os::Fd pidfd, os::Fd reports, std::shared_ptr<Child> reaper)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        reports_(std::move(reports)),
        reaper_(std::move(reaper)) {}

  pid_t pid() const noexcept { return pid_; }
  /// Readable once the process has ended. Throws: std::system_error when there is no descriptor
  /// left.
  int sentinel();

  /// The same for who can do without: -1 when there is no descriptor left.
  int sentinel_if_any() noexcept;

  /// Reaps the process if it has ended. Blocks: no; but where another process reaps it, and it has
  /// ended, until that has told how.
  std::optional<ExitStatus> poll();

  /// The same, as the kernel tells it.
  std::optional<os::ChildEnd> poll_end();
  /// For a process that another one reaps: that has told.
  void note_end(os::ChildEnd const& end);

  /// Blocks: until the process ends or the deadline passes. A process that is traced, by a debugger
  /// say, has ended when the tracer lets it go.
  std::optional<ExitStatus> wait_until(base::Deadline deadline);

  /// Does nothing when the process has ended.
  void send(int signal);

  /// SIGKILL for it and all that descend from it, and for its process group if it leads one. Does
  /// nothing when it has ended. Blocks, throws: as kill_branches(), and when it may not be
  /// signalled; it itself is killed in any other case.
  void kill_tree();

 private:
  // For what no descriptor tells: the end of a process when there is no descriptor left, and when a
  // tracer lets a dead one go.
  static constexpr std::chrono::milliseconds kBetweenLooks{1};
  // Far more than a busy reaper takes to tell; one that does not has been stopped by somebody.
  static constexpr std::chrono::seconds kTellingTakes{1};

  void kill_with_group();

  /// -1, which poll skips: there is none.
  int reports_fd() noexcept;

  /// False, and errno says why, when there is no descriptor left.
  bool open_locked() noexcept;

  /// What the process that reaps it has told. Until it has, the child counts as running; but of one
  /// whose sentinel is readable nobody should hear that.
  os::ChildEnd told_end();
  std::optional<ExitStatus> poll_locked();
  void settle_locked(os::ChildEnd const& end);

  pid_t const pid_;

  std::mutex mutex_;
  // guarded by mutex_
  os::Fd pidfd_;  // once there is one, it stays the same
  std::optional<ExitStatus> status_;
  os::ChildEnd end_{};  // when there is a status
  os::Fd reports_;
  std::shared_ptr<Child> const reaper_;  // constant; null: this process reaps it
};

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/child.ipp>
#endif
