// SPDX-License-Identifier: BSL-1.0
// A process that this process started: waited for and signalled by pidfd, reaped once.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>

namespace multiprocessing::launch {

/// Threads: safe; any number may wait at once, and all of them learn the status.
class Child {
 public:
  Child(pid_t pid, os::Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  /// A child that ended, and was reaped by another part of the program, before it had a pidfd.
  static std::unique_ptr<Child> reaped_elsewhere(pid_t pid) {
    auto readable = os::create_eventfd();
    os::signal_eventfd(readable);
    auto child = std::make_unique<Child>(pid, std::move(readable));
    child->status_ = ExitStatus::from({os::ChildEnd::State::Stolen, 0, 0});
    return child;
  }

  pid_t pid() const noexcept { return pid_; }
  os::Fd const& pidfd() const noexcept { return pidfd_; }

  /// Reaps the process if it has ended. Never blocks.
  std::optional<ExitStatus> poll() {
    std::lock_guard const guard(mutex_);
    return poll_locked();
  }

  /// Blocks: until the process ends or the deadline passes. A process that is traced, by a debugger
  /// say, has ended when the tracer lets it go.
  std::optional<ExitStatus> wait_until(base::Deadline deadline) {
    while (os::poll_readable(pidfd_.get(), deadline)) {
      if (auto const status = poll()) return status;
      if (deadline.passed()) break;
      os::poll_until({}, earlier(deadline, base::Deadline::after(kBetweenLooksAtTraced)));
    }
    return std::nullopt;
  }

  /// Does nothing when the process has ended.
  void send(int signal) {
    std::lock_guard const guard(mutex_);
    if (!poll_locked()) os::send_signal(pidfd_, signal);
  }

 private:
  // A dead process that a tracer holds has a readable pidfd, but can not be reaped yet.
  static constexpr std::chrono::milliseconds kBetweenLooksAtTraced{1};

  std::optional<ExitStatus> poll_locked() {
    if (!status_) {
      auto const end = os::reap_child(pidfd_);
      if (end.state != os::ChildEnd::State::Running) status_ = ExitStatus::from(end);
    }
    return status_;
  }

  // constant after construction
  pid_t pid_;
  os::Fd pidfd_;

  std::mutex mutex_;
  std::optional<ExitStatus> status_;  // guarded by mutex_
};

}  // namespace multiprocessing::launch
