// SPDX-License-Identifier: BSL-1.0
// A process that this process started: waited for and signalled by pidfd, reaped once.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

/// Threads: safe; any number may wait at once, and all of them learn the status.
class Child {
 public:
  /// Of a child that runs, or has ended and not been reaped. Never fails for want of a descriptor:
  /// the process runs already, so it must be waited for in any case.
  explicit Child(pid_t pid) : pid_(pid) {
    std::lock_guard const guard(mutex_);
    open_locked();
  }

  pid_t pid() const noexcept { return pid_; }
  /// Readable once the process has ended. Throws: std::system_error when there is no descriptor
  /// left.
  int sentinel() {
    std::lock_guard const guard(mutex_);
    if (!pidfd_ && !open_locked()) os::throw_errno("pidfd_open", std::to_string(pid_));
    return pidfd_.get();
  }

  /// The same for who can do without: -1 when there is no descriptor left.
  int sentinel_if_any() noexcept {
    std::lock_guard const guard(mutex_);
    return pidfd_ || open_locked() ? pidfd_.get() : -1;
  }

  /// Reaps the process if it has ended. Never blocks.
  std::optional<ExitStatus> poll() {
    std::lock_guard const guard(mutex_);
    return poll_locked();
  }

  /// Blocks: until the process ends or the deadline passes. A process that is traced, by a debugger
  /// say, has ended when the tracer lets it go.
  std::optional<ExitStatus> wait_until(base::Deadline deadline) {
    for (;;) {
      int const fd = sentinel_if_any();
      if (fd >= 0 && !os::poll_readable(fd, deadline)) return std::nullopt;
      if (auto const status = poll()) return status;
      if (deadline.passed()) return std::nullopt;
      os::poll_until({}, earlier(deadline, base::Deadline::after(kBetweenLooks)));
    }
  }

  /// Does nothing when the process has ended.
  void send(int signal) {
    std::lock_guard const guard(mutex_);
    if (!poll_locked()) os::send_signal(pidfd_, pid_, signal);
  }

 private:
  // For what no descriptor tells: the end of a process when there is no descriptor left, and when a
  // tracer lets a dead one go.
  static constexpr std::chrono::milliseconds kBetweenLooks{1};

  /// False, and errno says why, when there is no descriptor left.
  bool open_locked() noexcept {
    if (pidfd_) return true;
    if (!status_) {  // else the pid may be a stranger's by now
      pidfd_ = os::try_open_pidfd(pid_);
      if (pidfd_ || errno != ESRCH) return static_cast<bool>(pidfd_);
      // It has ended, and somebody who waits for all children has reaped it.
      status_ = ExitStatus::from({os::ChildEnd::State::Stolen, 0, 0});
    }
    pidfd_ = os::try_create_readable();
    return static_cast<bool>(pidfd_);
  }

  std::optional<ExitStatus> poll_locked() {
    if (!status_) {
      auto const end = os::reap_child(pidfd_, pid_);
      if (end.state == os::ChildEnd::State::Running) return status_;
      status_ = ExitStatus::from(end);
      shm::Heap::note_death();
    }
    return status_;
  }

  pid_t const pid_;

  std::mutex mutex_;
  // guarded by mutex_
  os::Fd pidfd_;  // once there is one, it stays the same
  std::optional<ExitStatus> status_;
};

}  // namespace multiprocessing::launch
