// SPDX-License-Identifier: BSL-1.0
// Records as lines on stderr, which never mix: also long ones, on a pipe that takes 4 KiB at once.
//
// Who writes a line has the turn, a mutex in shared memory. There is one for each file that is
// stderr somewhere in the family, so that who waits at a full pipe holds up only those who would
// write to it, too.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/mutex.hpp>

namespace multiprocessing::launch {

/// Lives in a block of the heap.
struct LineTurn {
  explicit LineTurn(os::FileIdentity whose) : file(whose) {}

  bool let_go() { return mutex.let_go(); }

  os::FileIdentity const file;
  sync::Mutex mutex{sync::Mutex::Kind::Plain};
  bool is_torn = false;  ///< half a line may be there, without an end; guarded by mutex
};

/// Threads, processes: safe, with those that are forked afterwards. Peer death: who is killed while
/// it writes leaves its line, or half of it and an end of line.
/// Throws: handle(), std::bad_alloc.
class StderrHandler final : public LogHandler {
 public:
  using Turn = shm::Shared<LineTurn>;

  StderrHandler() = default;
  ~StderrHandler() override {
    for (Node const* node = turns_.load(); node != nullptr;) {
      std::unique_ptr<Node const> const done(node);
      node = node->older;
    }
  }

  /// Of another process: that one has written it.
  void handle(LogRecord const& record) override {
    if (record.pid != os::this_pid()) return;
    auto line = format_record(record) + "\n";
    auto const* const turn = turn_of_stderr();
    if (turn == nullptr || !write_in_turn(**turn, line)) os::write_to_stderr(line);
  }

  /// For the file that is stderr now; null when it is closed, or there is no shared memory. Stays
  /// as long as the handler.
  Turn const* turn_of_stderr() {
    auto const file = os::stderr_identity();
    if (!file) return nullptr;
    if (auto const* const turn = find(turns_.load(), *file)) return turn;
    try {
      return add(Turn::make(0, *file));
    } catch (std::exception const&) {
      return nullptr;
    }
  }

  /// To take turns with the processes that have this one, unless there is one for the file already;
  /// which then is returned. Throws: std::bad_alloc.
  Turn const* add(Turn const& turn) {
    auto fresh = std::make_unique<Node>(Node{turn, turns_.load()});
    do {
      if (auto const* const older = find(fresh->older, turn->file)) return older;
    } while (!turns_.compare_exchange_weak(fresh->older, fresh.get()));
    return &fresh.release()->turn;
  }

 private:
  /// Constant once others can see it.
  struct Node {
    Turn turn;
    Node const* older;
  };

  static Turn const* find(Node const* node, os::FileIdentity file) noexcept {
    while (node != nullptr && node->turn->file != file) node = node->older;
    return node == nullptr ? nullptr : &node->turn;
  }

  /// False: nothing was written, because this thread can not have the turn.
  static bool write_in_turn(LineTurn& turn, std::string& line) {
    try {
      turn.mutex.acquire(base::Deadline::never());
    } catch (std::system_error const&) {  // it has it, or too many locks
      return false;
    }
    base::ScopeGuard const release([&] { turn.mutex.release(); });
    if (turn.is_torn) line.insert(0, 1, '\n');
    // Who is killed from here on may leave half a line; of a short one, all or nothing. (Of a short
    // one in a file: nearly always.)
    turn.is_torn = line.size() > os::kAtomicWrite;
    turn.is_torn = !os::write_to_stderr(line);
    return true;
  }

  std::atomic<Node const*> turns_{nullptr};  // newest first; one for each stderr there has been
};

}  // namespace multiprocessing::launch
