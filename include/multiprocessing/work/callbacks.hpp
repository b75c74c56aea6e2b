// SPDX-License-Identifier: BSL-1.0
// What is to be called when tasks have settled: by one thread, which the first of them starts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/work/task_board.hpp>

namespace multiprocessing::work {

/// Threads: safe, but for construction and destruction. Fork: no child has the thread.
class Callbacks {
 public:
  /// `nursery_life`: with its end, all that has not settled never will.
  Callbacks(TaskBoard& board, shm::LifeLock& nursery_life)
      : state_(std::make_shared<State>(board, nursery_life)) {}
  Callbacks(Callbacks const&) = delete;
  Callbacks& operator=(Callbacks const&) = delete;
  ~Callbacks() { finish(); }

  /// Calls `call`, once, when `is_due()`, which the board's news tell. `call` throws nothing that
  /// matters: it is dropped. Throws: std::system_error when no thread can be started.
  void add(std::function<bool()> is_due, std::function<void()> call) {
    std::lock_guard const lock(state_->mutex);
    if (thread_ == nullptr) {
      os::SignalBlock const block;  // user handlers run in user threads
      thread_ = std::make_unique<std::thread>([state = state_] { run(*state); });
    }
    state_->entries.push_back({std::move(is_due), std::move(call)});
    ++state_->added;
    state_->board.news.notify_all();
  }

  /// Blocks: until `called`, which the call that was added sets, or the deadline passes (false).
  bool wait(std::atomic<bool> const& called, base::Deadline deadline) {
    if (is_this_thread()) return true;  // it would wait for itself
    std::unique_lock lock(state_->mutex);
    auto const is_called = [&] { return called.load(); };
    if (deadline.is_never()) {
      state_->some_called.wait(lock, is_called);
      return true;
    }
    return state_->some_called.wait_until(lock, deadline.time(), is_called);
  }

  /// Calls what is due, and nothing after that. Blocks: until then. In a callback: returns at once.
  void finish() noexcept {
    if (thread_ == nullptr) return;
    if (owner_ != launch::this_incarnation()) {
      static_cast<void>(thread_.release());  // a copy of a thread that is not there
      return;
    }
    state_->is_finishing = true;
    if (is_this_thread()) {
      state_->is_orphan = true;
      thread_->detach();
    } else {
      state_->board.news.notify_all();
      thread_->join();
    }
    thread_.reset();
  }

 private:
  struct Entry {
    std::function<bool()> is_due;
    std::function<void()> call;
  };
  struct State {
    State(TaskBoard& where, shm::LifeLock& life) : board(where), nursery_life(life) {}

    TaskBoard& board;
    shm::LifeLock& nursery_life;
    std::atomic<bool> is_finishing{false};
    bool is_orphan = false;  // the board has gone; of the thread alone
    std::atomic<std::uint64_t> added{0};
    std::mutex mutex;
    std::condition_variable some_called;
    std::list<Entry> entries;  // guarded by mutex
  };

  bool is_this_thread() const noexcept {
    return thread_ != nullptr && thread_->get_id() == std::this_thread::get_id();
  }

  static void run(State& state) {
    sync::AdaptiveSpin spin;
    bool nursery_lives = true;
    for (;;) {
      bool const is_last = state.is_finishing;
      auto const told = state.board.told.load();
      auto const added = state.added.load();
      if (call_due(state)) {
        if (state.is_orphan) return;
        continue;
      }
      if (is_last) return;
      auto const is_news = [&] {
        return state.board.told.load() != told || state.added.load() != added ||
               state.is_finishing.load();
      };
      auto const outcome = state.board.news.await(is_news, base::Deadline::never(), spin,
                                                  nursery_lives ? &state.nursery_life : nullptr);
      if (outcome == sync::Waited::PeerDied) nursery_lives = false;
    }
  }

  /// Whether there was something.
  static bool call_due(State& state) {
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
    while (!due.empty() && !state.is_orphan) {
      try {
        due.front().call();
      } catch (...) {  // harms nobody
      }
      due.pop_front();  // with what it holds, before anybody is told
      { std::lock_guard const lock(state.mutex); }
      state.some_called.notify_all();
    }
    return true;
  }

  launch::Incarnation const owner_ = launch::this_incarnation();
  std::shared_ptr<State> state_;
  std::unique_ptr<std::thread> thread_;  // guarded by the state's mutex until finish()
};

}  // namespace multiprocessing::work
