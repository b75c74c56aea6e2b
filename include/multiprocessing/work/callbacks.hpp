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

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/work/board.hpp>

namespace multiprocessing::work {

/// Threads: safe. Fork: no child has the thread.
class Callbacks {
 public:
  explicit Callbacks(Board& board) : state_(std::make_shared<State>(board)) {}
  Callbacks(Callbacks const&) = delete;
  Callbacks& operator=(Callbacks const&) = delete;
  ~Callbacks();

  /// Calls `call`, once, when `is_due()`, which the board's news tell, and sets `called` (may be
  /// null) when it has been called and destroyed. What it throws is dropped. REQUIRES: `is_due`
  /// keeps the board. Throws: std::system_error when no thread can be started.
  void add(std::function<bool()> is_due, std::function<void()> call,
           std::shared_ptr<std::atomic<bool>> called = nullptr);

  /// Blocks: until `called` is set, see add(), or the deadline passes (false). In a callback:
  /// returns at once, for it would wait for itself.
  bool wait(std::atomic<bool> const& called, base::Deadline deadline);

  /// To be called when all tasks have settled. Blocks: until all is called, and the thread uses the
  /// board no more. In a callback: returns at once, and the others are called after it.
  void finish() noexcept;

 private:
  struct Entry {
    std::function<bool()> is_due;
    std::function<void()> call;
    std::shared_ptr<std::atomic<bool>> called;
  };
  struct State {
    explicit State(Board& where) : board(where) {}

    Board& board;  // there while there are entries, or somebody waits in finish()
    std::atomic<bool> is_finishing{false};
    std::atomic<std::uint64_t> added{0};
    std::atomic<std::thread::id> thread{};
    std::mutex mutex;
    std::condition_variable changed;
    // guarded by mutex
    std::list<Entry> entries;
    bool is_running = false;
  };

  bool is_this_thread() const noexcept { return state_->thread == std::this_thread::get_id(); }

  static void run(State& state);

  /// From then on the thread looks at nothing any more, and the next entry starts another. What is
  /// not due then never will be, and is forgotten.
  static bool has_finished(State& state);

  /// Whether there was something.
  static bool call_due(State& state);

  launch::Incarnation const owner_ = launch::this_incarnation();
  std::shared_ptr<State> const state_;
};

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/callbacks.ipp>
#endif
