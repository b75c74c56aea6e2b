// SPDX-License-Identifier: BSL-1.0
// Those who sleep at a condition, in the order of their coming.
#pragma once

#include <atomic>
#include <cstdint>
#include <climits>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/mutex.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. All members REQUIRE: the caller holds the mutex of the condition.
class WaitQueue {
 public:
  /// Lets go of `mutex`, sleeps until it is told or the deadline has passed, and takes `mutex`
  /// again. Whether it was told. `id`: what names this queue in all processes.
  bool wait(std::uint64_t id, Mutex& mutex, base::Deadline deadline) {
    auto& seat = this_threads_seat();
    seat.sit(id, next_ticket_++);
    int const levels = mutex.release_all();
    static_cast<void>(seat.told.await([](std::uint32_t told) { return told != 0; }, deadline));
    mutex.acquire_all(levels);
    seat.stand();
    return seat.told.value() != 0;  // also when the news came after the deadline
  }

  /// Tells those `count` living sleepers that have waited longest. Returns how many there were.
  /// A sleeper that was told and died before it could act passes its turn to the next.
  int notify(std::uint64_t id, int count) {
    int told = 0;
    for (; told < count; ++told) {
      Seat* const oldest = find_oldest(id, count);
      if (oldest == nullptr) break;
      oldest->told.set_bits(1);
    }
    return told;
  }

  int notify_all(std::uint64_t id) {
    int told = 0;
    for_each_seat(shm::Heap::instance().arena(), id, [&](Seat& seat) {
      if (!seat.life.is_held() || seat.told.value() != 0) return;
      seat.told.set_bits(1);
      ++told;
    });
    clear_evidence(shm::Heap::instance().arena(), id);
    return told;
  }

 private:
  Seat* find_oldest(std::uint64_t id, int& count) {
    Seat* oldest = nullptr;
    for_each_seat(shm::Heap::instance().arena(), id, [&](Seat& seat) {
      if (!seat.life.is_held()) {
        // Only if it still names this queue: its next owner may be sitting down elsewhere.
        auto expected = id;
        if (seat.object.compare_exchange_strong(expected, 0) && seat.told.value() != 0 &&
            count < INT_MAX) {
          ++count;
        }
      } else if (seat.told.value() == 0 &&
                 (oldest == nullptr || seat.ticket.load() < oldest->ticket.load())) {
        oldest = &seat;
      }
    });
    return oldest;
  }

  std::uint64_t next_ticket_ = 0;
};

}  // namespace multiprocessing::sync
