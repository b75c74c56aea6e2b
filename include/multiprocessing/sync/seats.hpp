// SPDX-License-Identifier: BSL-1.0
// A seat for every thread that waits for others by name: who waits for what, and does it live.
//
//   seat = [ life | told | object | ticket ]     in a table that all processes of the family share
//
// A thread takes a seat at its first wait and keeps it: its life lock is held until the thread
// ends, however it ends, and then the seat is another's. To wait is to write ticket and object; to
// be told is one step of a WaitWord. Nobody keeps a list, so there is none that a death could
// break.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// Lives inside an arena. `object` is written by the thread that sits here, last of all.
struct alignas(base::kCacheLine) Seat {
  shm::LifeLock life;
  WaitWord told;
  std::atomic<std::uint64_t> object{0};  ///< Shared::id() of what the thread waits for; 0: nothing
  std::atomic<std::uint64_t> ticket{0};

  /// REQUIRES: the calling thread's. Until stand(), others find it by `object`.
  void sit(std::uint64_t awaited, std::uint64_t number) noexcept {
    for (auto value = told.value(); !told.exchange_alone(value, 0);) {
    }
    ticket = number;
    object = awaited;
  }
  void stand() noexcept { object = 0; }
};
static_assert(sizeof(Seat) == base::kCacheLine);

/// Calls `visit(seat)` for all who wait for `object`, and for the dead who did.
template <class Visit>
void for_each_seat(shm::Arena& arena, std::uint64_t object, Visit const& visit) {
  for (shm::Number number = 0; number < arena.entries(); ++number) {
    auto& seat = arena.entry<Seat>(number);
    if (seat.object.load() == object) visit(seat);
  }
}

namespace seats_detail {
/// Whether who died here waited for something that still lives: its seat is the evidence, until
/// those have seen it that wait for the same.
inline bool is_evidence(shm::Arena const& arena, Seat const& seat) noexcept {
  auto const object = seat.object.load();
  return object != 0 && arena.exists(object);
}
}  // namespace seats_detail

/// Takes what the dead wait for off their seats, once everybody has seen it who should.
inline void clear_evidence(shm::Arena& arena, std::uint64_t object) {
  for_each_seat(arena, object, [&](Seat& seat) {
    auto expected = object;  // its next owner may be sitting down elsewhere
    if (!seat.life.is_held()) seat.object.compare_exchange_strong(expected, 0);
  });
}

/// Of the calling thread. Throws: std::bad_alloc when 16384 threads have one, or have died waiting
/// for objects that nobody has used since.
inline Seat& this_threads_seat() {
  struct Cached {
    Seat* seat;
    unsigned fork_generation;  // a forked child has not inherited the life lock
  };
  static thread_local constinit Cached cached{nullptr, 0};
  if (cached.seat != nullptr && cached.fork_generation == os::fork_generation()) {
    return *cached.seat;
  }
  auto& arena = shm::Heap::instance().arena();
  for (shm::Number number = 0;; ++number) {
    if (number == arena.entries()) number = arena.add_entry<Seat>();
    auto& seat = arena.entry<Seat>(number);
    if (seats_detail::is_evidence(arena, seat) || !seat.life.try_hold()) continue;
    if (seats_detail::is_evidence(arena, seat)) {  // since: another sat down here and died
      seat.life.release();
      continue;
    }
    seat.stand();  // who had it may have died waiting
    cached = {&seat, os::fork_generation()};
    return seat;
  }
}

}  // namespace multiprocessing::sync
