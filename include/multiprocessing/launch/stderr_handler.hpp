// SPDX-License-Identifier: BSL-1.0
// Records as lines on stderr, which never mix: also long ones, on a pipe that takes 4 KiB at once.
//
// Who writes a line has the turn, a mutex in shared memory. There is one for each file that is
// stderr somewhere in the family, so that who waits at a full pipe holds up only those who would
// write to it, too.
#pragma once

#include <atomic>
#include <string>

#include <multiprocessing/launch/log_record.hpp>
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
  ~StderrHandler() override;

  /// Of another process: that one has written it.
  void handle(LogRecord const& record) override;

  /// For the file that is stderr now; null when it is closed, or there is no shared memory. Stays
  /// as long as the handler.
  Turn const* turn_of_stderr();

  /// To take turns with the processes that have this one, unless there is one for the file already;
  /// which then is returned. Throws: std::bad_alloc.
  Turn const* add(Turn const& turn);

 private:
  /// Constant once others can see it.
  struct Node {
    Turn turn;
    Node const* older;
  };

  static Turn const* find(Node const* node, os::FileIdentity file) noexcept;

  /// False: nothing was written, because this thread can not have the turn.
  static bool write_in_turn(LineTurn& turn, std::string& line);

  std::atomic<Node const*> turns_{nullptr};  // newest first; one for each stderr there has been
};

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/stderr_handler.ipp>
#endif
