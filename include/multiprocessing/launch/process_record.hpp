// SPDX-License-Identifier: BSL-1.0
// What stands behind every handle to a Process, and the list of those that run.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>

namespace multiprocessing::launch {

/// Threads: safe, but for name and daemon flag before the start.
class ProcessRecord {
 public:
  ProcessRecord(std::shared_ptr<Identity> who, std::function<void()> target)
      : who_(std::move(who)), creator_(this_incarnation()), target_(std::move(target)) {}

  /// The process that asks about itself.
  explicit ProcessRecord(std::shared_ptr<Identity> self)
      : who_(std::move(self)), creator_(this_incarnation()), phase_(Phase::Self) {}

  Identity& who() noexcept { return *who_; }

  /// Throws: std::logic_error when started before, std::invalid_argument when closed,
  /// std::system_error.
  void start() {
    std::lock_guard const guard(mutex_);
    require_open("start");
    if (phase_ != Phase::Initial) {
      throw std::logic_error("Process.start: cannot start " + who_->name + " twice");
    }
    if (creator_ != this_incarnation()) {
      throw std::logic_error("Process.start: can only start a process object of this process");
    }
    auto const body = [this] {
      target_();
      return 0;
    };
    child_ = fork_child(who_, body);
    phase_ = Phase::Started;
    target_ = nullptr;  // what the arguments hold now belongs to the child
  }

  /// Blocks: until it ends or the deadline passes. Whether it has ended.
  bool join_until(base::Deadline deadline) {
    if (is_self()) throw std::logic_error("Process.join: cannot join the current process");
    return started_child("join")->wait_until(deadline).has_value();
  }

  std::optional<ExitStatus> exit_status() {
    auto const child = child_if_started("exit_status");
    return child == nullptr ? std::nullopt : child->poll();
  }

  bool is_alive() {
    if (is_self()) return true;
    auto const child = child_if_started("is_alive");
    return child != nullptr && !child->poll();
  }

  std::optional<pid_t> pid() {
    if (is_self()) return ::getpid();
    auto const child = child_if_started("pid");
    return child == nullptr ? std::nullopt : std::optional(child->pid());
  }

  int sentinel() { return started_child("sentinel")->pidfd().get(); }

  void send(char const* call, int signal) {
    if (is_self()) {
      ::raise(signal);
    } else {
      started_child(call)->send(signal);
    }
  }

  void close() {
    std::lock_guard const guard(mutex_);
    if (phase_ == Phase::Closed) return;
    if (phase_ == Phase::Self) {
      throw std::logic_error("Process.close: cannot close the current process");
    }
    if (child_ && creator_ == this_incarnation() && !child_->poll()) {
      throw std::invalid_argument("Process.close: " + who_->name +
                                  " is still running; join() or terminate() it first");
    }
    phase_ = Phase::Closed;
    target_ = nullptr;
    child_.reset();
  }

  void require_open(char const* call) const {
    if (phase_ == Phase::Closed) {
      throw std::invalid_argument("Process." + std::string(call) + ": process object is closed");
    }
  }

  /// For messages and printing: "initial", "started", "stopped", "closed".
  std::string state() {
    if (phase_ == Phase::Closed) return "closed";
    if (phase_ == Phase::Initial) return "initial";
    return is_alive() ? "started" : "stopped";
  }

 private:
  enum class Phase { Initial, Started, Closed, Self };

  bool is_self() const noexcept { return phase_ == Phase::Self; }

  std::shared_ptr<Child> child_if_started(char const* call) {
    std::lock_guard const guard(mutex_);
    require_open(call);
    if (child_ && creator_ != this_incarnation()) {
      throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                             " is not a child of this process");
    }
    return child_;
  }

  std::shared_ptr<Child> started_child(char const* call) {
    auto const child = child_if_started(call);
    if (child == nullptr) {
      throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                             " has not been started");
    }
    return child;
  }

  // constant after construction
  std::shared_ptr<Identity> const who_;
  Incarnation const creator_;

  std::mutex mutex_;
  std::atomic<Phase> phase_{Phase::Initial};  // written under mutex_
  std::function<void()> target_;              // guarded by mutex_
  std::shared_ptr<Child> child_;              // guarded by mutex_; null before and after
};

/// The children of this process that were started and not yet seen to end, so that a dropped
/// handle leaves neither zombie nor orphan.
class Children {
 public:
  static Children& of_this_process() {
    static std::atomic<Children*> instance{nullptr};
    Children* current = instance.load(std::memory_order_acquire);
    // After a fork the list belongs to the parent; its mutex may even be locked. Start afresh.
    if (current == nullptr || current->owner_ != this_incarnation()) {
      auto* const fresh = new Children;
      if (!instance.compare_exchange_strong(current, fresh)) {
        delete fresh;
        return *current;
      }
      fresh->finish_at_exit();
      return *fresh;
    }
    return *current;
  }

  using Records = std::list<std::shared_ptr<ProcessRecord>>;

  /// Starts the process and lists it: both, or neither.
  void start(std::shared_ptr<ProcessRecord> const& record) {
    Records place{record};  // so that nothing can fail once the process runs
    record->start();
    std::lock_guard const guard(mutex_);
    forget_ended();
    records_.splice(records_.end(), place);
  }

  /// Stops listing it once it has ended: from then on its handles alone keep it.
  void forget_if_ended(std::shared_ptr<ProcessRecord> const& record) {
    std::lock_guard const guard(mutex_);
    auto const place = std::find(records_.begin(), records_.end(), record);
    if (place != records_.end() && !is_running(*record)) records_.erase(place);
  }

  /// Reaps those that have ended.
  Records alive() {
    std::lock_guard const guard(mutex_);
    forget_ended();
    return records_;
  }

 private:
  Children() = default;

  // How long a daemon may take to end after SIGTERM before it gets SIGKILL.
  static constexpr std::chrono::seconds kGrace{1};

  void finish_at_exit() {
    if (identity()->parent_pid != 0) {
      before_leaving() = [] { of_this_process().finish(); };
    } else {
      std::atexit([] { of_this_process().finish(); });
    }
  }

  /// Ends the daemons, waits for the others.
  void finish() {
    auto const records = alive();
    auto const is_daemon = [](auto const& record) { return record->who().daemon; };
    for (auto const& record : records) {
      if (is_daemon(record)) quietly([&] { record->send("terminate", SIGTERM); });
    }
    auto const grace = base::Deadline::after(kGrace);
    for (auto const& record : records) {
      quietly([&] {
        if (is_daemon(record) && !record->join_until(grace)) record->send("kill", SIGKILL);
        record->join_until(base::Deadline::never());
      });
    }
  }

  /// A handle may be closed under our hands; then there is nothing to finish.
  static void quietly(auto const& action) {
    try {
      action();
    } catch (std::exception const&) {
    }
  }

  void forget_ended() {
    records_.remove_if([](auto const& record) { return !is_running(*record); });
  }

  static bool is_running(ProcessRecord& record) {
    try {
      return record.is_alive();
    } catch (std::invalid_argument const&) {  // closed
      return false;
    }
  }

  Incarnation const owner_ = this_incarnation();
  std::mutex mutex_;
  Records records_;  // guarded by mutex_
};

}  // namespace multiprocessing::launch
