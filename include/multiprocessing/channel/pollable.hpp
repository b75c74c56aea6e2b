// SPDX-License-Identifier: BSL-1.0
// The descriptor of something that can be received from: made when somebody asks for it.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/readiness.hpp>
#include <multiprocessing/os/fork_gate.hpp>

namespace multiprocessing::channel {

/// Threads: all members safe: guarded by the fork gate, so that a child never finds it locked by a
/// thread that it does not have. Fork: the child makes its own.
class Pollable {
 public:
  /// See Readiness. Good until close(). Throws: std::system_error.
  template <class IsReady>
  int fileno(Lane& lane, Audience const& others, IsReady const& is_ready) {
    os::ForkGateGuard const gate;
    if (readiness_ == nullptr || !readiness_->is_of_this_process()) {
      auto made = std::make_unique<Readiness>(lane, others);
      made->arm(is_ready);
      readiness_ = std::move(made);
      is_asked_for_ = true;
    }
    return readiness_->fd();
  }

  /// Nothing was found: to be told of the next.
  template <class IsReady>
  void arm(IsReady const& is_ready) {
    if (!is_asked_for_.load()) return;
    os::ForkGateGuard const gate;
    if (readiness_ != nullptr && readiness_->is_of_this_process()) readiness_->arm(is_ready);
  }

  void close() noexcept {
    os::ForkGateGuard const gate;
    is_asked_for_ = false;
    readiness_.reset();
  }

 private:
  std::atomic<bool> is_asked_for_{false};
  std::unique_ptr<Readiness> readiness_;
};

}  // namespace multiprocessing::channel
