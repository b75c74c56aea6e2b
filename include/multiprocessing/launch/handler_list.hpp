// SPDX-License-Identifier: BSL-1.0
// The log handlers of a process. A forked child has copies of them, found as no other thread had
// them half changed.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

/// Threads: all members safe, also inside handlers. Fork: as above.
class HandlerList {
 public:
  /// null: there never was a handler.
  static HandlerList* if_any() noexcept;
  /// Never destroyed: static objects may log when they are. Throws: std::system_error,
  /// std::bad_alloc.
  static HandlerList& instance();

  /// REQUIRES: not called by users; instance() makes the only one.
  HandlerList()
      : stderr_handler_(std::make_shared<StderrHandler>()),
        handlers_(std::make_shared<Handlers const>()) {}
  HandlerList(HandlerList const&) = delete;
  HandlerList& operator=(HandlerList const&) = delete;

  /// Behind the others. Does nothing when it is there.
  void add(std::shared_ptr<LogHandler> handler);
  /// Does nothing when it is not there. Other threads may be inside for a moment.
  void remove(std::shared_ptr<LogHandler> const& handler);

  bool empty() const { return snapshot()->empty(); }
  bool contains(std::shared_ptr<LogHandler> const& handler) const;

  /// The one of this process, whether it is among the handlers or not.
  std::shared_ptr<StderrHandler> const& stderr_handler() const noexcept { return stderr_handler_; }

  /// Hands the record to each handler that this thread is not inside of. Throws: what a handler
  /// throws that is no std::exception.
  void handle(LogRecord const& record) const;

 private:
  using Handlers = std::vector<std::shared_ptr<LogHandler>>;

  /// The handlers that this thread is inside of, innermost first.
  class Running {
   public:
    explicit Running(LogHandler const& handler) noexcept
        : handler_(&handler), outer_(std::exchange(innermost(), this)) {}
    Running(Running const&) = delete;
    Running& operator=(Running const&) = delete;
    ~Running() { innermost() = outer_; }

    static bool is_inside(LogHandler const& handler) noexcept;
    /// In a child that a handler started, which does not come back to it.
    static void forget() noexcept { innermost() = nullptr; }

   private:
    static Running const*& innermost() noexcept;

    LogHandler const* handler_;
    Running const* outer_;
  };

  static std::atomic<HandlerList*>& current() noexcept;

  // Handlers use the heap. What is registered later runs first before a fork: so there are no
  // handlers inside the heap when it locks itself.
  static void make_heap() noexcept;

  /// null: there was no list when the fork began that this thread is in.
  static HandlerList*& locked_by_this_thread() noexcept;
  static void unlock() noexcept;

  static void before_fork();
  static void in_parent();
  static void in_child();

  std::shared_ptr<Handlers const> snapshot() const;
  template <class Change>
  void change(Change const& change) {
    std::shared_ptr<Handlers const> old;  // freed when nothing is locked
    std::lock_guard const lock(mutex_);
    auto handlers = std::make_shared<Handlers>(*handlers_);
    change(*handlers);
    old = std::exchange(handlers_, std::move(handlers));
  }

  std::shared_ptr<StderrHandler> const stderr_handler_;

  mutable std::mutex mutex_;                  // held across forks, never while a handler runs
  std::shared_ptr<Handlers const> handlers_;  // guarded by mutex_
};

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/handler_list.ipp>
#endif
