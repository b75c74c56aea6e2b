// SPDX-License-Identifier: BSL-1.0
// The log handlers of a process. A forked child has copies of them, found as no other thread had
// them half changed.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <multiprocessing/launch/handler_gate.hpp>
#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

/// Threads: all members safe, also inside handlers. Fork: as above.
class HandlerList {
 public:
  /// null: there never was a handler.
  static HandlerList* if_any() noexcept {
    return current().load(std::memory_order_acquire);  // pairs with the store in instance()
  }
  /// Never destroyed: static objects may log when they are. Throws: std::system_error,
  /// std::bad_alloc.
  static HandlerList& instance() {
    if (auto* const list = if_any()) return *list;
    make_heap();
    os::ForkGateGuard const gate;  // no fork finds it half made
    if (auto* const list = if_any()) return *list;
    auto list = std::make_unique<HandlerList>();
    os::register_fork_handlers(&before_fork, &in_parent, &in_child);
    current().store(list.get(), std::memory_order_release);
    return *list.release();
  }

  /// REQUIRES: not called by users; instance() makes the only one.
  HandlerList()
      : stderr_handler_(std::make_shared<StderrHandler>()),
        handlers_(std::make_shared<Handlers const>()) {}
  HandlerList(HandlerList const&) = delete;
  HandlerList& operator=(HandlerList const&) = delete;

  /// Behind the others. Does nothing when it is there.
  void add(std::shared_ptr<LogHandler> handler) {
    change([&](Handlers& handlers) {
      if (std::find(handlers.begin(), handlers.end(), handler) != handlers.end()) return;
      handlers.push_back(std::move(handler));
    });
  }
  /// Does nothing when it is not there. Other threads may be inside for a moment.
  void remove(std::shared_ptr<LogHandler> const& handler) {
    change([&](Handlers& handlers) { std::erase(handlers, handler); });
  }

  bool empty() const { return snapshot()->empty(); }
  bool contains(std::shared_ptr<LogHandler> const& handler) const {
    auto const handlers = snapshot();
    return std::find(handlers->begin(), handlers->end(), handler) != handlers->end();
  }

  /// The one of this process, whether it is among the handlers or not.
  std::shared_ptr<StderrHandler> const& stderr_handler() const noexcept { return stderr_handler_; }

  /// Hands the record to each handler that this thread is not inside of. Throws: what a handler
  /// throws that is no std::exception.
  void handle(LogRecord const& record) const {
    HandlerGate::Visit const visit(HandlerGate::of_this_process());
    auto const handlers = snapshot();
    for (auto const& handler : *handlers) {
      if (Running::is_inside(*handler)) continue;
      Running const running(*handler);
      try {
        handler->handle(record);
      } catch (std::exception const&) {
      }
    }
  }

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

    static bool is_inside(LogHandler const& handler) noexcept {
      auto const* running = innermost();
      while (running != nullptr && running->handler_ != &handler) running = running->outer_;
      return running != nullptr;
    }
    /// In a child that a handler started, which does not come back to it.
    static void forget() noexcept { innermost() = nullptr; }

   private:
    static Running const*& innermost() noexcept {
      static thread_local constinit Running const* running = nullptr;
      return running;
    }

    LogHandler const* handler_;
    Running const* outer_;
  };

  static std::atomic<HandlerList*>& current() noexcept {
    static constinit std::atomic<HandlerList*> list{nullptr};
    return list;
  }

  // Handlers use the heap. What is registered later runs first before a fork: so there are no
  // handlers inside the heap when it locks itself.
  static void make_heap() noexcept {
    try {
      shm::Heap::instance();
    } catch (std::exception const&) {  // what needs one will say so
    }
  }

  /// null: there was no list when the fork began that this thread is in.
  static HandlerList*& locked_by_this_thread() noexcept {
    static thread_local constinit HandlerList* list = nullptr;
    return list;
  }
  static void unlock() noexcept {
    auto* const list = std::exchange(locked_by_this_thread(), nullptr);
    if (list != nullptr) list->mutex_.unlock();
  }

  static void before_fork() {
    HandlerGate::of_this_process().close();
    auto* const list = if_any();
    if (list != nullptr) list->mutex_.lock();
    locked_by_this_thread() = list;
  }
  static void in_parent() {
    unlock();
    HandlerGate::of_this_process().open_in_parent();
  }
  static void in_child() {
    unlock();
    HandlerGate::of_this_process().open_in_child();
    Running::forget();
  }

  std::shared_ptr<Handlers const> snapshot() const {
    std::lock_guard const lock(mutex_);
    return handlers_;
  }
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
