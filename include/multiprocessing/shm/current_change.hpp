// SPDX-License-Identifier: BSL-1.0
// What the calling thread changes right now: where Boost's containers, which know nothing of that,
// take memory and note what they overwrite.
#pragma once

#include <cstddef>
#include <cstdint>

#include <multiprocessing/shm/changing_memory.hpp>
#include <multiprocessing/shm/undo_log.hpp>

namespace multiprocessing::shm {

/// Of a thread; changes of several containers may lie in each other.
class CurrentChange {
 public:
  /// Nothing.
  constexpr CurrentChange() noexcept = default;
  /// REQUIRES: both live as long as this is used, and the log is open.
  CurrentChange(ChangingMemory& memory, UndoLog& log) noexcept
      : memory_(&memory),
        log_(&log),
        begin_(reinterpret_cast<std::uintptr_t>(memory.begin())),
        size_(memory.frontier()) {}

  static CurrentChange& of_this_thread() noexcept {
    static thread_local constinit CurrentChange current;
    return current;
  }

  /// REQUIRES, here and below: there is one. Throws: std::bad_alloc.
  void* take(std::uint64_t size) const { return memory_->take(size, *log_); }
  bool extend(void* piece, std::uint64_t size) const { return memory_->extend(piece, size, *log_); }
  /// REQUIRES: UndoLog::make_room() was called for it.
  void give_back(void* piece, std::uint64_t size) const noexcept {
    memory_->give_back(piece, size, *log_);
  }
  static constexpr std::uint64_t rounded(std::uint64_t size) noexcept {
    return ChangingMemory::rounded(size);
  }

  /// 8 bytes are about to be changed. Notes them where the change has found them in use: not on the
  /// stack, and not in what it has taken beyond the frontier, which nobody will read when it is
  /// undone. REQUIRES: as give_back().
  void note(void const* at) const noexcept {
    if (reinterpret_cast<std::uintptr_t>(at) - begin_ < size_) [[unlikely]]
      log_->note(at);
  }

 private:
  ChangingMemory* memory_ = nullptr;
  UndoLog* log_ = nullptr;
  std::uintptr_t begin_ = 0;
  std::uint64_t size_ = 0;  // up to the frontier, when the change began
};

}  // namespace multiprocessing::shm
