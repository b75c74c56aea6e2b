// SPDX-License-Identifier: BSL-1.0
// A small single-threaded process that starts children on request, reaps them, and never outlives
// its owner. Nothing that happens to a child, and no thread of the owner, can get in its way.
//
//   owner                     nursery                          child #0..n-1
//   start_nursery ----------> body(Nursery&)
//                               start(#) --------------------> runs
//   wake() --- eventfd -----> wait(): Woken
//                             wait(): ended, status <--------- ends, any way
//   Failure   owner ends (any way, or by exec): wait() says owner_ended; the nursery kills
//             its children and leaves. Nursery ends (any way): the kernel kills its children.
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>

namespace multiprocessing::launch {

namespace nursery_detail {

/// Ctrl-C reaches the whole terminal's group; it is the owner's to answer.
inline void start_from_clean_slate() noexcept {
  os::ignore_signal(SIGINT);
  os::reset_signals();
}

}  // namespace nursery_detail

/// The nursery's own view. Threads: the nursery's only one.
class Nursery {
 public:
  Nursery(std::size_t children, os::Fd owner, os::Fd const& owner_life, os::Fd const& wake)
      : owner_(std::make_shared<os::Fd const>(std::move(owner))),
        owner_life_(&owner_life),
        wake_(&wake),
        children_(children) {}

  std::size_t size() const noexcept { return children_.size(); }
  bool is_running(std::size_t number) const noexcept { return children_[number] != nullptr; }
  pid_t pid(std::size_t number) const noexcept { return children_[number]->pid(); }

  std::size_t running() const noexcept {
    return static_cast<std::size_t>(std::count_if(children_.begin(), children_.end(),
                                                  [](auto const& c) { return c != nullptr; }));
  }

  /// Starts child `number` as `who`, to run `body` (which returns the exit code).
  /// Throws: std::system_error. REQUIRES: !is_running(number).
  template <class Body>
  void start(std::size_t number, std::shared_ptr<Identity> who, Body& body) {
    // To user code in a child, its parent is the process that the nursery works for.
    auto const& me = identity();
    who->parent_pid = me.parent_pid;
    who->parent_name = me.parent_name;
    who->parent_pidfd = owner_;
    pid_t const nursery = os::this_pid();
    auto const bound_body = [&] {
      os::die_with_parent(nursery);
      nursery_detail::start_from_clean_slate();
      return body();
    };
    os::SignalBlock const block;
    children_[number] = fork_child(std::move(who), bound_body);
  }

  struct Ended {
    std::size_t number;
    pid_t pid;
    ExitStatus status;
  };
  struct News {
    bool owner_ended = false;
    std::vector<Ended> ended;
  };

  /// Blocks: until the owner calls wake() or ends, a child ends, or the deadline passes.
  News wait(base::Deadline deadline) {
    // A negative descriptor is one that poll skips.
    auto const unless_ended = [this](os::Fd const& fd) { return owner_has_ended_ ? -1 : fd.get(); };
    std::vector<pollfd> fds{{unless_ended(*owner_), POLLIN, 0},
                            {unless_ended(*owner_life_), POLLIN, 0},
                            {wake_->get(), POLLIN, 0}};
    auto const first_child = fds.size();
    for (auto const& child : children_) {
      int const fd = child ? child->sentinel_if_any() : -1;
      fds.push_back({fd, POLLIN, 0});
      if (child && fd < 0) deadline = earlier(deadline, base::Deadline::after(kBetweenLooks));
    }
    os::poll_until(fds, deadline);
    News news;
    // Both stay readable: poll them no more.
    if (fds[0].revents != 0 || fds[1].revents != 0) owner_has_ended_ = true;
    news.owner_ended = owner_has_ended_;
    if (fds[2].revents != 0) os::drain_eventfd(*wake_);
    bool traced = false;  // a dead child that a debugger does not let go yet
    for (std::size_t number = 0; number < children_.size(); ++number) {
      auto& child = children_[number];
      auto const& sentinel = fds[first_child + number];
      if (!child || (sentinel.fd >= 0 && sentinel.revents == 0)) continue;
      if (auto const status = child->poll()) {
        news.ended.push_back({number, child->pid(), *status});
        if (!owner_has_ended_) {  // afterwards it is in a hurry, and stderr may take nothing
          log(LogLevel::debug, "child ", number, " (pid ", child->pid(), ") ended: ", *status);
        }
        child.reset();
      } else if (sentinel.fd >= 0) {
        traced = true;
      }
    }
    if (traced) os::poll_until({}, base::Deadline::after(kBetweenLooks));
    return news;
  }

  void send_to_all(int signal) {
    for (auto const& child : children_) {
      if (child) child->send(signal);
    }
  }

 private:
  // For what no descriptor tells: the end of a child for which there was none left, and when a
  // tracer lets a dead one go.
  static constexpr std::chrono::milliseconds kBetweenLooks{1};

  std::shared_ptr<os::Fd const> owner_;
  bool owner_has_ended_ = false;
  os::Fd const* owner_life_;  // end of file: the owner has ended, or become another program
  os::Fd const* wake_;
  std::vector<std::unique_ptr<Child>> children_;  // null: none of this number runs
};

/// The owner's handle.
struct NurseryHandle {
  std::unique_ptr<Child> process;
  os::Fd wake_fd;
  os::Fd life;  ///< nobody else has it, and no exec inherits it

  void wake() const noexcept { os::signal_eventfd(wake_fd); }
};

/// Forks a nursery for `children` children that runs `body(Nursery&)`, which returns its exit code.
/// Throws: std::system_error.
template <class Body>
NurseryHandle start_nursery(std::shared_ptr<Identity> who, std::size_t children, Body body) {
  os::Fd wake = os::create_eventfd();
  os::Pipe life = os::create_pipe();
  pid_t const owner = os::this_pid();
  auto const nursery_main = [&] {
    channel::keep_only({});
    nursery_detail::start_from_clean_slate();
    // A service manager may ask the owner's whole group to end. The owner answers; its end is seen.
    os::ignore_signal(SIGTERM);
    life.writer.reset();
    os::Fd owner_pidfd = os::try_open_pidfd(owner);
    // Still our parent: so the pid was not reused before the descriptor was opened.
    if (!owner_pidfd || os::parent_pid() != owner) return 1;
    Nursery nursery(children, std::move(owner_pidfd), life.reader, wake);
    os::exit_now(body(nursery));  // it runs no user code, so there is nothing to run at its end
  };
  os::SignalBlock const block;
  auto process = fork_child(std::move(who), nursery_main);
  return {std::move(process), std::move(wake), std::move(life.writer)};
}

}  // namespace multiprocessing::launch
