// SPDX-License-Identifier: BSL-1.0
// The bodies of callbacks.hpp.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/callbacks.hpp>

namespace multiprocessing::work {

MULTIPROCESSING_INLINE Callbacks::~Callbacks() {
  finish();
  // In a child the condition may have sleepers that are not there; to destroy it would hang.
  if (owner_ != launch::this_incarnation()) new std::shared_ptr<State>(state_);
}

MULTIPROCESSING_INLINE void Callbacks::add(std::function<bool()> is_due, std::function<void()> call,
                                           std::shared_ptr<std::atomic<bool>> called) {
  std::lock_guard const lock(state_->mutex);
  state_->entries.push_back({std::move(is_due), std::move(call), std::move(called)});
  if (!state_->is_running) {
    try {
      os::SignalBlock const block;  // user handlers run in user threads
      std::thread thread([state = state_] { run(*state); });
      state_->thread = thread.get_id();
      thread.detach();  // finish() waits for it
      state_->is_running = true;
    } catch (...) {
      state_->entries.pop_back();
      throw;
    }
  }
  ++state_->added;
  state_->board.tasks.news.notify_all();
}

MULTIPROCESSING_INLINE bool Callbacks::wait(std::atomic<bool> const& called,
                                            base::Deadline deadline) {
  if (is_this_thread()) return true;
  std::unique_lock lock(state_->mutex);
  auto const is_called = [&] { return called.load(); };
  if (deadline.is_never()) {
    state_->changed.wait(lock, is_called);
    return true;
  }
  return state_->changed.wait_until(lock, deadline.time(), is_called);
}

MULTIPROCESSING_INLINE void Callbacks::finish() noexcept {
  if (owner_ != launch::this_incarnation()) return;  // a child's copy, of no thread
  state_->is_finishing = true;
  if (is_this_thread()) return;
  std::unique_lock lock(state_->mutex);
  if (!state_->is_running) return;
  state_->board.tasks.news.notify_all();
  state_->changed.wait(lock, [&] { return !state_->is_running; });
}

MULTIPROCESSING_INLINE void Callbacks::run(State& state) {
  sync::AdaptiveSpin spin;
  bool nursery_lives = true;
  for (;;) {
    if (has_finished(state)) return;  // before the board is looked at
    auto const told = state.board.tasks.told.load();
    auto const added = state.added.load();
    if (call_due(state)) continue;
    auto const is_news = [&] {
      return state.board.tasks.told.load() != told || state.added.load() != added ||
             state.is_finishing.load();
    };
    auto const outcome =
        state.board.await(state.board.tasks.news, is_news, base::Deadline::never(), spin,
                          nursery_lives ? &state.board.nursery_life : nullptr);
    // With its end, all that has not settled never will.
    if (outcome == sync::Waited::PeerDied) nursery_lives = false;
  }
}

MULTIPROCESSING_INLINE bool Callbacks::has_finished(State& state) {
  std::unique_lock lock(state.mutex);
  if (!state.is_finishing) return false;
  for (auto const& entry : state.entries) {
    if (entry.is_due()) return false;
  }
  std::list<Entry> forgotten;
  forgotten.swap(state.entries);
  lock.unlock();
  forgotten.clear();  // may be the last that the pool is kept by
  lock.lock();
  if (!state.entries.empty()) return false;  // which keep the board
  state.is_running = false;
  state.thread = std::thread::id();
  state.changed.notify_all();
  return true;
}

MULTIPROCESSING_INLINE bool Callbacks::call_due(State& state) {
  std::list<Entry> due;
  {
    std::lock_guard const lock(state.mutex);
    for (auto entry = state.entries.begin(); entry != state.entries.end();) {
      auto const next = std::next(entry);
      if (entry->is_due()) due.splice(due.end(), state.entries, entry);
      entry = next;
    }
  }
  if (due.empty()) return false;
  while (!due.empty()) {
    auto& entry = due.front();
    try {
      entry.call();
      entry.call = nullptr;
    } catch (...) {  // harms nobody
    }
    if (entry.called != nullptr) *entry.called = true;
    { std::lock_guard const lock(state.mutex); }  // who has looked already, sleeps
    state.changed.notify_all();
    due.pop_front();
  }
  return true;
}

}  // namespace multiprocessing::work
