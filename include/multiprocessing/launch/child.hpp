// SPDX-License-Identifier: BSL-1.0
// A process that this process started, or had started by another: waited for and signalled by
// pidfd, reaped once.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/launch/process_tree.hpp>
#include <multiprocessing/os/fd_message.hpp>
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

  /// Of a process that `reaper` has forked, and reaps; it tells the end through `reports`.
  Child(pid_t pid, os::Fd pidfd, os::Fd reports, std::shared_ptr<Child> reaper)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        reports_(std::move(reports)),
        reaper_(std::move(reaper)) {}

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

  /// Reaps the process if it has ended. Blocks: no; but where another process reaps it, and it has
  /// ended, until that has told how.
  std::optional<ExitStatus> poll() {
    std::lock_guard const guard(mutex_);
    return poll_locked();
  }

  /// The same, as the kernel tells it.
  std::optional<os::ChildEnd> poll_end() {
    std::lock_guard const guard(mutex_);
    if (!poll_locked()) return std::nullopt;
    return end_;
  }
  /// For a process that another one reaps: that has told.
  void note_end(os::ChildEnd const& end) {
    std::lock_guard const guard(mutex_);
    settle_locked(end);
  }

  /// Blocks: until the process ends or the deadline passes. A process that is traced, by a debugger
  /// say, has ended when the tracer lets it go.
  std::optional<ExitStatus> wait_until(base::Deadline deadline) {
    for (;;) {
      int const fd = sentinel_if_any();
      if (fd >= 0 && !os::poll_readable(fd, deadline)) return std::nullopt;
      if (auto const status = poll()) return status;
      if (deadline.passed()) return std::nullopt;
      // Where another process reaps it, its word is on its way.
      std::array<pollfd, 1> word{{{reports_fd(), POLLIN, 0}}};
      os::poll_until(word, earlier(deadline, base::Deadline::after(kBetweenLooks)));
    }
  }

  /// Does nothing when the process has ended.
  void send(int signal) {
    std::lock_guard const guard(mutex_);
    if (!poll_locked()) os::send_signal(pidfd_, pid_, signal);
  }

  /// SIGKILL for it and all that descend from it, and for its process group if it leads one. Does
  /// nothing when it has ended. Blocks, throws: as kill_branches(), and when it may not be
  /// signalled; it itself is killed in any other case.
  void kill_tree() {
    send(SIGSTOP);
    try {
      kill_branches(pid_);
    } catch (...) {
      kill_with_group();
      throw;
    }
    kill_with_group();
  }

 private:
  // For what no descriptor tells: the end of a process when there is no descriptor left, and when a
  // tracer lets a dead one go.
  static constexpr std::chrono::milliseconds kBetweenLooks{1};
  // Far more than a busy reaper takes to tell; one that does not has been stopped by somebody.
  static constexpr std::chrono::seconds kTellingTakes{1};

  void kill_with_group() {
    std::lock_guard const guard(mutex_);
    if (poll_locked()) return;
    if (::getpgid(pid_) == pid_) ::kill(-pid_, SIGKILL);  // it still has the number
    os::send_signal(pidfd_, pid_, SIGKILL);
  }

  /// -1, which poll skips: there is none.
  int reports_fd() noexcept {
    std::lock_guard const guard(mutex_);
    return reports_.get();
  }

  /// False, and errno says why, when there is no descriptor left.
  bool open_locked() noexcept {
    if (pidfd_) return true;
    if (!status_) {  // else the pid may be a stranger's by now
      pidfd_ = os::try_open_pidfd(pid_);
      if (pidfd_ || errno != ESRCH) return static_cast<bool>(pidfd_);
      // It has ended, and somebody who waits for all children has reaped it.
      end_ = {os::ChildEnd::State::Stolen, 0, 0};
      status_ = ExitStatus::from(end_);
    }
    pidfd_ = os::try_create_readable();
    return static_cast<bool>(pidfd_);
  }

  /// What the process that reaps it has told. Until it has, the child counts as running; but of one
  /// whose sentinel is readable nobody should hear that.
  os::ChildEnd told_end() {
    using State = os::ChildEnd::State;
    bool const has_ended = os::is_readable(pidfd_);
    if (has_ended && reports_) {
      std::array<pollfd, 2> words{
          {{reports_.get(), POLLIN, 0}, {reaper_->sentinel_if_any(), POLLIN, 0}}};
      os::poll_until(words, base::Deadline::after(kTellingTakes));
    }
    bool const is_reaper_gone = reaper_->poll().has_value();  // looked at before its last word
    if (reports_ && os::is_readable(reports_)) {
      os::ChildEnd end{};
      auto const room = std::as_writable_bytes(std::span(&end, 1));
      if (os::receive_with_fds(reports_, room).size == sizeof end) return end;
      reports_.reset();
    }
    if (!has_ended || (reports_ && !is_reaper_gone)) return {State::Running, 0, 0};
    return os::reap_child(pidfd_, pid_);  // it may have become this process's own
  }
  std::optional<ExitStatus> poll_locked() {
    if (!status_) {
      auto const end = reaper_ == nullptr ? os::reap_child(pidfd_, pid_) : told_end();
      if (end.state != os::ChildEnd::State::Running) settle_locked(end);
    }
    return status_;
  }
  void settle_locked(os::ChildEnd const& end) {
    end_ = end;
    status_ = ExitStatus::from(end);
    shm::Heap::note_death();
  }

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
