// SPDX-License-Identifier: BSL-1.0
// Memory in the heap, a log, and this thread's current change of them.
#pragma once

#include <cstdint>

#include <multiprocessing/shm/changing_memory.hpp>
#include <multiprocessing/shm/current_change.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/undo_log.hpp>

namespace support {

class Changing {
 public:
  static constexpr std::uint64_t kSize = std::uint64_t{1} << 20;

  multiprocessing::shm::ChangingMemory& memory() const noexcept { return *memory_; }
  multiprocessing::shm::UndoLog& log() const noexcept { return *log_; }

  /// Runs `change` as the thread's current one, which has happened then.
  template <class Change>
  void run(Change const& change) const {
    begin();
    change();
    end();
  }
  /// The same, and puts it back.
  template <class Change>
  void run_and_undo(Change const& change) const {
    begin();
    change();
    log_->roll_back(0);
    end();
  }

 private:
  using Memory = multiprocessing::shm::ChangingMemory;
  using Log = multiprocessing::shm::UndoLog;
  using Current = multiprocessing::shm::CurrentChange;

  void begin() const {
    log_->open(1);
    log_->make_room(kSize);
    Current::of_this_thread() = Current(*memory_, *log_);
  }
  void end() const {
    Current::of_this_thread() = Current();
    log_->close();
  }

  multiprocessing::shm::Lease for_memory_{multiprocessing::shm::Reserved{Memory::limit_for(kSize)}};
  multiprocessing::shm::Lease for_log_{multiprocessing::shm::Reserved{4 * kSize}};
  multiprocessing::shm::Shared<Memory> memory_ =
      multiprocessing::shm::Shared<Memory>::make(0, for_memory_.block(), Memory::limit_for(kSize));
  multiprocessing::shm::Shared<Log> log_ =
      multiprocessing::shm::Shared<Log>::make(0, for_log_.block(), 4 * kSize);
};

}  // namespace support
