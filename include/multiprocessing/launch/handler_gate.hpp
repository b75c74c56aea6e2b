// SPDX-License-Identifier: BSL-1.0
// Keeps threads out of log handlers while the process forks. Handlers have locks, and use what has
// locks; a child that was forked while another thread held one would wait for it for ever.
//
//   a thread that logs                      a thread that forks
//   Visit: visitors + 1                     close(): forkers + 1, so that nobody comes in
//   handlers run                            waits until there are no visitors
//   ~Visit: visitors - 1, wake ----------->
//                                           fork
//   Visit: waits <------------------------- open_in_parent(): forkers - 1, wake
//                                           open_in_child(): nobody is there but this thread
//
// Both waits end after kPatience: a handler may wait for a lock that the forking thread holds, or
// for a reader that never comes. Then the child is as any other library would have it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>

namespace multiprocessing::launch {

/// One a process. Threads: all members safe.
class HandlerGate {
 public:
  class Visit;

  static HandlerGate& of_this_process() noexcept {
    static constinit HandlerGate gate;
    return gate;
  }
  HandlerGate(HandlerGate const&) = delete;
  HandlerGate& operator=(HandlerGate const&) = delete;

  /// To be called before a fork. A handler that forks does not wait for itself.
  void close() {
    state_.fetch_add(kForker);
    auto const deadline = base::Deadline::after(kPatience);
    for (auto state = state_.load(); (state & kVisitors) > own_visitors(); state = state_.load()) {
      if (!wait(state, deadline)) return;
    }
  }
  void open_in_parent() noexcept {
    state_.fetch_sub(kForker);
    os::futex_wake(state_);
  }
  void open_in_child() noexcept { state_.store(own_visitors()); }

 private:
  // As long as a fork may be late; handlers take microseconds.
  static constexpr std::chrono::seconds kPatience{1};

  // In one word, so that one comes in only while nobody forks.
  static constexpr std::uint32_t kForker = std::uint32_t{1} << 20;
  static constexpr std::uint32_t kVisitors = kForker - 1;  // more threads than a process can have

  constexpr HandlerGate() = default;

  /// How deep this thread is in handlers that log.
  static std::uint32_t& depth() noexcept {
    static thread_local constinit std::uint32_t depth = 0;
    return depth;
  }
  static std::uint32_t own_visitors() noexcept { return depth() > 0 ? 1 : 0; }

  void enter() {
    if (depth() == 0 && !try_enter()) {
      auto const deadline = base::Deadline::after(kPatience);
      do {
        if (!wait(state_.load(), deadline)) {
          ++state_;
          break;
        }
      } while (!try_enter());
    }
    ++depth();
  }
  void leave() noexcept {
    if (--depth() > 0) return;
    if (state_.fetch_sub(1) > kForker) os::futex_wake(state_);
  }

  /// False: somebody forks.
  bool try_enter() noexcept {
    auto state = state_.load();
    do {
      if (state >= kForker) return false;
    } while (!state_.compare_exchange_weak(state, state + 1));
    return true;
  }

  /// Until the state may be another one. False: the deadline has passed.
  bool wait(std::uint32_t state, base::Deadline deadline) {
    return os::futex_wait(state_, state, deadline) != os::FutexResult::TimedOut &&
           !deadline.passed();
  }

  os::FutexWord state_{0};
};

/// This thread runs handlers as long as it lives.
class [[nodiscard]] HandlerGate::Visit {
 public:
  explicit Visit(HandlerGate& gate) : gate_(gate) { gate_.enter(); }
  Visit(Visit const&) = delete;
  Visit& operator=(Visit const&) = delete;
  ~Visit() { gate_.leave(); }

 private:
  HandlerGate& gate_;
};

}  // namespace multiprocessing::launch
