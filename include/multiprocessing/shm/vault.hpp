// SPDX-License-Identifier: BSL-1.0
// Descriptors on their way between the processes of a heap. The kernel alone holds them: a sender
// may exit at once, and who receives may not be born yet.
//
//   put(block, fd) --> [ block, fd | block, fd | .. ] --> take(block)
//
// Each belongs to a block of the arena, and is wanted until it is taken, as long as that exists: so
// a message refers to a descriptor as it does to any shared object. A socket gives up its oldest
// only; the others are looked at where they are.
//
// An unwanted one behind others is in a gap. Who puts or takes next closes gaps: it moves those in
// front to the end, through descriptors of its own for a moment, so no process may be forked
// meanwhile. Files are kept apart, and their gaps left until they are in front: who closes any
// descriptor of a file loses its record locks there, and nobody waits for the end of a file.
//
// Failure   killed in put: the block is freed when the dead is buried, and then nobody wants it.
//           killed in take: it was taken, or not. killed when it moved one: that is there twice,
//           and the second is unwanted once the first is taken.
#pragma once

#include <cstddef>
#include <utility>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_queue.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/arena.hpp>

namespace multiprocessing::shm {

/// Threads and processes: all members safe. Fork: the child has the same one.
class Vault {
 public:
  /// At most so many files, and as many others: what a socket holds where its buffers were not made
  /// smaller.
  static constexpr std::size_t kMost = 256;

  /// Throws: std::system_error.
  explicit Vault(Arena& arena) : arena_(arena) {}
  /// The one that these belong to. Throws: nothing.
  Vault(Arena& arena, os::FdQueue files, os::FdQueue others) noexcept
      : arena_(arena), files_(std::move(files)), others_(std::move(others)) {}
  Vault(Vault const&) = delete;
  Vault& operator=(Vault const&) = delete;

  /// Keeps a duplicate of `fd` until it is taken, or the block is freed. REQUIRES: the caller
  /// holds the block, and has put nothing there, and, here and in take(), not the fork gate.
  /// Throws: std::system_error: ENOBUFS when there are kMost, ETOOMANYREFS where this user may not
  /// have so many under way, EBADF.
  void put(Number block, int fd);

  /// None: it has been taken already. REQUIRES: the caller holds the block. Throws:
  /// std::system_error, EMFILE when this process may not have more; then it can be taken again.
  os::Fd take(Number block);

  /// Closes those that nobody wants any more, if there may be such: to be called by those who free
  /// blocks. Those in gaps have to wait.
  void tidy() noexcept;

  /// For who lets another process in.
  os::FdQueue const& files() const noexcept { return files_; }
  os::FdQueue const& others() const noexcept { return others_; }

  /// For diagnosis, and for who wants to know whether somebody's death could matter.
  std::size_t size();

 private:
  /// Holds the guard. What the last holder left when it died is unwanted, or there twice.
  class Guarded {
   public:
    explicit Guarded(Vault& vault);
    Guarded(Guarded const&) = delete;
    Guarded& operator=(Guarded const&) = delete;
    ~Guarded() { guard_.unlock(); }

   private:
    os::RobustMutex& guard_;
  };

  // What follows: REQUIRES the guard.

  bool is_wanted_at(os::FdQueue const& fds, std::size_t index) const;
  void pop_unwanted();

  /// Closes all that nobody wants, but for files in gaps. REQUIRES: the fork gate.
  void close_unwanted() noexcept;
  std::size_t count_gaps() const;

  Arena& arena_;
  os::FdQueue files_;
  os::FdQueue others_;
};

}  // namespace multiprocessing::shm

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shm/vault.ipp>
#endif
