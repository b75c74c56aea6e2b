// SPDX-License-Identifier: BSL-1.0
// A lock, and memory whose changes under it happen as a whole or not at all.
//
//   Reading     the lock, and a look whether somebody has died in a change
//   Change      the same; what is overwritten in it is saved in the log, and put back unless it
//               comes to commit(): by its destructor, or, where its thread died, by recover()
//
// A change within a change of the same memory is a part of it, which can be put back by itself.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/shm/changing_memory.hpp>
#include <multiprocessing/shm/current_change.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/undo_log.hpp>
#include <multiprocessing/sync/mutex.hpp>

namespace multiprocessing::sync {

/// What users have called, for errors: "SharedMap", "set".
struct Verb {
  char const* noun;
  char const* verb;
};

/// Lives inside the heap. Threads, processes: all members safe.
class Transactional {
 public:
  class Reading;
  class Change;

  /// For what takes `size` bytes, of which the log has to keep as much: see reserve().
  Transactional(shm::Lease const& memory, shm::Lease const& log, std::uint64_t size)
      : log_(log.block(), log_limit(size)),
        memory_(memory.block(), shm::ChangingMemory::limit_for(size)) {}
  Transactional(Transactional const&) = delete;
  Transactional& operator=(Transactional const&) = delete;

  /// Addresses for memory, and for a log. Throws: std::bad_alloc.
  static shm::Reserved memory_for(std::uint64_t size) {
    return {shm::ChangingMemory::limit_for(size)};
  }
  static shm::Reserved log_for(std::uint64_t size) { return {log_limit(size)}; }

  /// Undoes the change that its thread has died in; whether there was one. Blocks: for the lock.
  bool recover() {
    Held const held(mutex_);
    if (!is_broken()) return false;
    log_.roll_back(0);
    log_.close();
    return true;
  }

  /// As Mutex::let_go().
  bool let_go() { return mutex_.let_go(); }

 private:
  class Held {
   public:
    explicit Held(Mutex& mutex) : mutex_(mutex) { mutex.acquire(base::Deadline::never()); }
    Held(Held const&) = delete;
    Held& operator=(Held const&) = delete;
    ~Held() { mutex_.release(); }

   private:
    Mutex& mutex_;
  };

  // Entries take more than what they keep: that of the smallest, of 8 bytes, three times as much.
  static constexpr std::uint64_t log_limit(std::uint64_t size) noexcept {
    constexpr std::uint64_t kForSmallOnes = std::uint64_t{1} << 20;
    return 2 * size + kForSmallOnes;
  }

  // What follows: REQUIRES the lock.

  /// Somebody who does not hold the lock any more has a change.
  bool is_broken() const noexcept { return log_.is_open() && mutex_.levels() == 1; }
  void require_whole(Verb const& verb) const {
    if (is_broken()) throw_broken(verb);
  }
  [[noreturn, gnu::noinline]] void throw_broken(Verb const& verb) const {
    auto const pid = log_.writer();
    throw BrokenContainerError(std::string(verb.noun) + "." + verb.verb + ": " +
                               (pid == 0 ? "a process" : "process " + std::to_string(pid)) +
                               " died in the middle of a change; recover() undoes that");
  }

  static pid_t this_pid() noexcept {  // without a system call
    auto& heap = shm::Heap::instance();
    auto const me = heap.me();
    return me == shm::Arena::kNobody ? 0 : heap.arena().participant(me).pid();
  }

  Mutex mutex_{Mutex::Kind::Recursive};
  shm::UndoLog log_;
  shm::ChangingMemory memory_;
};

/// The lock is held as long as it lives.
class Transactional::Reading {
 public:
  /// Throws: BrokenContainerError when somebody has died in a change.
  Reading(Transactional& whole, Verb verb) : held_(whole.mutex_) { whole.require_whole(verb); }

 private:
  Held held_;
};

/// The same, and this thread's current change.
class Transactional::Change {
 public:
  /// Throws: BrokenContainerError; std::bad_alloc when there is no memory for the log.
  Change(Transactional& whole, Verb verb) : whole_(whole), held_(whole.mutex_) {
    whole.require_whole(verb);
    if (is_part_) {
      mark_ = log().mark();
    } else {
      begin();
    }
    current_ = shm::CurrentChange(memory(), log());
  }
  Change(Change const&) = delete;
  Change& operator=(Change const&) = delete;
  ~Change() {
    current_ = outer_;
    // In a child that was forked in the middle it is not this thread's.
    if (is_committed_ || !whole_.mutex_.held_by_this_thread()) return;
    log().roll_back(mark_);
    if (!is_part_) log().close();
  }

  /// It has happened; or will have with the one that it is a part of. To be called last.
  void commit() noexcept {
    if (!whole_.mutex_.held_by_this_thread()) return;
    is_committed_ = true;
    if (!is_part_) log().close();
  }

  bool is_part() const noexcept { return is_part_; }

  /// These bytes are about to be overwritten. Throws: std::bad_alloc.
  void save(void const* at, std::size_t size) { log().save(at, size); }
  /// For `pieces` that are given back, and as many `words` that note themselves. Throws: as save().
  void make_room(std::uint64_t pieces, std::uint64_t words = 0) {
    log().make_room(pieces * shm::ChangingMemory::kRoomOfAStep + words * shm::UndoLog::room_for(8));
  }
  /// All memory is free. REQUIRES: !is_part(), and nothing more is taken in it.
  void free_all_memory() { memory().reset(log()); }

 private:
  shm::UndoLog& log() noexcept { return whole_.log_; }
  shm::ChangingMemory& memory() noexcept { return whole_.memory_; }

  void begin() {
    auto const pid = this_pid();
    while (memory().has_given_back()) {
      log().open(pid);
      try {
        memory().sort_given_back(log());
      } catch (...) {
        log().roll_back(0);
        log().close();
        throw;
      }
      log().close();
    }
    log().open(pid);
  }

  Transactional& whole_;
  Held const held_;
  bool const is_part_ = whole_.log_.is_open();
  bool is_committed_ = false;
  shm::UndoLog::Mark mark_ = 0;
  shm::CurrentChange& current_ = shm::CurrentChange::of_this_thread();
  shm::CurrentChange const outer_ = current_;
};

}  // namespace multiprocessing::sync
