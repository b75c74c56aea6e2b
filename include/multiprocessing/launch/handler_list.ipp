// SPDX-License-Identifier: BSL-1.0
// The bodies of handler_list.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/handler_gate.hpp>
#include <multiprocessing/launch/handler_list.hpp>
#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

MULTIPROCESSING_INLINE HandlerList* HandlerList::if_any() noexcept {
  return current().load(std::memory_order_acquire);  // pairs with the store in instance()
}

MULTIPROCESSING_INLINE HandlerList& HandlerList::instance() {
  if (auto* const list = if_any()) return *list;
  make_heap();
  os::ForkGateGuard const gate;  // no fork finds it half made
  if (auto* const list = if_any()) return *list;
  auto list = std::make_unique<HandlerList>();
  os::register_fork_handlers(&before_fork, &in_parent, &in_child);
  current().store(list.get(), std::memory_order_release);
  return *list.release();
}

MULTIPROCESSING_INLINE void HandlerList::add(std::shared_ptr<LogHandler> handler) {
  change([&](Handlers& handlers) {
    if (std::find(handlers.begin(), handlers.end(), handler) != handlers.end()) return;
    handlers.push_back(std::move(handler));
  });
}

MULTIPROCESSING_INLINE void HandlerList::remove(std::shared_ptr<LogHandler> const& handler) {
  change([&](Handlers& handlers) { std::erase(handlers, handler); });
}

MULTIPROCESSING_INLINE bool HandlerList::contains(
    std::shared_ptr<LogHandler> const& handler) const {
  auto const handlers = snapshot();
  return std::find(handlers->begin(), handlers->end(), handler) != handlers->end();
}

MULTIPROCESSING_INLINE void HandlerList::handle(LogRecord const& record) const {
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

MULTIPROCESSING_INLINE bool HandlerList::Running::is_inside(LogHandler const& handler) noexcept {
  auto const* running = innermost();
  while (running != nullptr && running->handler_ != &handler) running = running->outer_;
  return running != nullptr;
}

MULTIPROCESSING_INLINE HandlerList::Running const*& HandlerList::Running::innermost() noexcept {
  static thread_local constinit Running const* running = nullptr;
  return running;
}

MULTIPROCESSING_INLINE std::atomic<HandlerList*>& HandlerList::current() noexcept {
  static constinit std::atomic<HandlerList*> list{nullptr};
  return list;
}

MULTIPROCESSING_INLINE void HandlerList::make_heap() noexcept {
  try {
    shm::Heap::instance();
  } catch (std::exception const&) {  // what needs one will say so
  }
}

MULTIPROCESSING_INLINE HandlerList*& HandlerList::locked_by_this_thread() noexcept {
  static thread_local constinit HandlerList* list = nullptr;
  return list;
}

MULTIPROCESSING_INLINE void HandlerList::unlock() noexcept {
  auto* const list = std::exchange(locked_by_this_thread(), nullptr);
  if (list != nullptr) list->mutex_.unlock();
}

MULTIPROCESSING_INLINE void HandlerList::before_fork() {
  HandlerGate::of_this_process().close();
  auto* const list = if_any();
  if (list != nullptr) list->mutex_.lock();
  locked_by_this_thread() = list;
}

MULTIPROCESSING_INLINE void HandlerList::in_parent() {
  unlock();
  HandlerGate::of_this_process().open_in_parent();
}

MULTIPROCESSING_INLINE void HandlerList::in_child() {
  unlock();
  HandlerGate::of_this_process().open_in_child();
  Running::forget();
}

MULTIPROCESSING_INLINE std::shared_ptr<HandlerList::Handlers const> HandlerList::snapshot() const {
  std::lock_guard const lock(mutex_);
  return handlers_;
}

}  // namespace multiprocessing::launch
