// SPDX-License-Identifier: BSL-1.0
// A seat for every thread that others have to know: what it waits for, what it is inside, and
// whether it lives.
//
//   seat = [ life | told | object | ticket | inside ]   in a table that all processes of the family
//   share
//
// A thread takes a seat when it first needs one and keeps it: its life lock is held until the
// thread ends, however it ends, and then the seat is another's. To wait is to write ticket and
// object; to be told is one step of a WaitWord. Nobody keeps a list, so there is none that a death
// could break.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/membarrier.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// Names one of the locks in a block of the arena, for good.
struct LockName {
  std::uint64_t value = 0;

  /// `block`: what Shared::id() says; `index`: among the locks in it, below kMostInABlock.
  static constexpr LockName of(std::uint64_t block, std::uint32_t index) noexcept {
    return {block | std::uint64_t{index} << kShift};
  }
  constexpr std::uint64_t block() const noexcept { return value & ~kMask; }

  static constexpr std::uint32_t kMostInABlock = 16;

 private:
  static_assert(shm::Arena::kBlocks <= 1U << 28, "the number of a block leaves these bits free");
  static constexpr unsigned kShift = 28;
  static constexpr std::uint64_t kMask = std::uint64_t{kMostInABlock - 1} << kShift;
};

/// Lives inside an arena. `object` is written by the thread that sits here, last of all.
struct alignas(base::kCacheLine) Seat {
  shm::LifeLock life;
  WaitWord told;
  std::atomic<std::uint64_t> object{0};  ///< Shared::id() of what the thread waits for; 0: nothing
  std::atomic<std::uint64_t> ticket{0};
  /// LockName of the BiasedLock that the thread has entered without taking it; 0: none. Written by
  /// the thread alone, and often: so it has a line of its own.
  alignas(base::kCacheLine) std::atomic<std::uint64_t> inside{0};

  /// REQUIRES: the calling thread's. Until stand(), others find it by `object`.
  void sit(std::uint64_t awaited, std::uint64_t number) noexcept {
    for (auto value = told.value(); !told.exchange_alone(value, 0);) {
    }
    ticket = number;
    object = awaited;
  }
  void stand() noexcept { object = 0; }
};
// Two lines; three where a mutex of pthread's has 48 bytes, as on aarch64.
static_assert(sizeof(Seat) == (sizeof(shm::LifeLock) > 40 ? 3 : 2) * base::kCacheLine);

/// Calls `visit(seat)` for all who wait for `object`, and for the dead who did.
template <class Visit>
void for_each_seat(shm::Arena& arena, std::uint64_t object, Visit const& visit) {
  for (shm::Number number = 0; number < arena.entries(); ++number) {
    auto& seat = arena.entry<Seat>(number);
    if (seat.object.load() == object) visit(seat);
  }
}

namespace seats_detail {
/// Whether who died here waited for something that still lives, or was inside it: its seat is the
/// evidence, until those have seen it that have to do with the same.
inline bool is_evidence(shm::Arena const& arena, Seat const& seat) noexcept {
  auto const object = seat.object.load();
  auto const inside = LockName{seat.inside.load()};
  return (object != 0 && arena.exists(object)) ||
         (inside.value != 0 && arena.exists(inside.block()));
}
}  // namespace seats_detail

/// Takes what the dead wait for off their seats, once everybody has seen it who should.
inline void clear_evidence(shm::Arena& arena, std::uint64_t object) {
  for_each_seat(arena, object, [&](Seat& seat) {
    auto expected = object;  // its next owner may be sitting down elsewhere
    if (!seat.life.is_held()) seat.object.compare_exchange_strong(expected, 0);
  });
}

/// A thread and its seat.
struct Seated {
  Seat* seat = nullptr;
  shm::Number number = 0;        ///< of the seat
  unsigned fork_generation = 0;  ///< a forked child has not inherited the life lock
  bool hears_barriers = false;   ///< os::barrier_everywhere() reaches this thread
};

namespace seats_detail {
Seated sit_down();
}  // namespace seats_detail

/// The calling thread. Throws: std::bad_alloc when 16384 threads have a seat, or have died waiting
/// for objects that nobody has used since.
inline Seated const& this_thread_seated() {
  static thread_local constinit Seated cached;
  if (cached.seat == nullptr || cached.fork_generation != os::fork_generation()) [[unlikely]] {
    cached = seats_detail::sit_down();
  }
  return cached;
}
inline Seat& this_threads_seat() { return *this_thread_seated().seat; }

inline Seated seats_detail::sit_down() {
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
    seat.inside = 0;
    os::count_forks();
    return {&seat, number, os::fork_generation(), os::join_barriers()};
  }
}

}  // namespace multiprocessing::sync
