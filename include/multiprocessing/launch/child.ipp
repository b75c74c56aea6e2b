// SPDX-License-Identifier: BSL-1.0
// The bodies of child.hpp.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/launch/process_tree.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

MULTIPROCESSING_INLINE Child::Child(pid_t pid) : pid_(pid) {
  std::lock_guard const guard(mutex_);
  open_locked();
}

MULTIPROCESSING_INLINE int Child::sentinel() {
  std::lock_guard const guard(mutex_);
  if (!pidfd_ && !open_locked()) os::throw_errno("pidfd_open", std::to_string(pid_));
  return pidfd_.get();
}

MULTIPROCESSING_INLINE int Child::sentinel_if_any() noexcept {
  std::lock_guard const guard(mutex_);
  return pidfd_ || open_locked() ? pidfd_.get() : -1;
}

MULTIPROCESSING_INLINE std::optional<ExitStatus> Child::poll() {
  std::lock_guard const guard(mutex_);
  return poll_locked();
}

MULTIPROCESSING_INLINE std::optional<os::ChildEnd> Child::poll_end() {
  std::lock_guard const guard(mutex_);
  if (!poll_locked()) return std::nullopt;
  return end_;
}

MULTIPROCESSING_INLINE void Child::note_end(os::ChildEnd const& end) {
  std::lock_guard const guard(mutex_);
  settle_locked(end);
}

MULTIPROCESSING_INLINE std::optional<ExitStatus> Child::wait_until(base::Deadline deadline) {
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

MULTIPROCESSING_INLINE void Child::send(int signal) {
  std::lock_guard const guard(mutex_);
  if (!poll_locked()) os::send_signal(pidfd_, pid_, signal);
}

MULTIPROCESSING_INLINE void Child::kill_tree() {
  send(SIGSTOP);
  try {
    kill_branches(pid_);
  } catch (...) {
    kill_with_group();
    throw;
  }
  kill_with_group();
}

MULTIPROCESSING_INLINE void Child::kill_with_group() {
  std::lock_guard const guard(mutex_);
  if (poll_locked()) return;
  if (::getpgid(pid_) == pid_) ::kill(-pid_, SIGKILL);  // it still has the number
  os::send_signal(pidfd_, pid_, SIGKILL);
}

MULTIPROCESSING_INLINE int Child::reports_fd() noexcept {
  std::lock_guard const guard(mutex_);
  return reports_.get();
}

MULTIPROCESSING_INLINE bool Child::open_locked() noexcept {
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

MULTIPROCESSING_INLINE os::ChildEnd Child::told_end() {
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

MULTIPROCESSING_INLINE std::optional<ExitStatus> Child::poll_locked() {
  if (!status_) {
    auto const end = reaper_ == nullptr ? os::reap_child(pidfd_, pid_) : told_end();
    if (end.state != os::ChildEnd::State::Running) settle_locked(end);
  }
  return status_;
}

MULTIPROCESSING_INLINE void Child::settle_locked(os::ChildEnd const& end) {
  end_ = end;
  status_ = ExitStatus::from(end);
  shm::Heap::note_death();
}

}  // namespace multiprocessing::launch
