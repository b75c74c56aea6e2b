// SPDX-License-Identifier: BSL-1.0
// A lock for what one thread does most of the time, and others now and then.
//
//   the thread it is biased to              another
//   seat.inside = this lock                 takes the mutex
//   bias still mine? else by the mutex      bias = nobody
//   ..                                      a barrier for all threads
//   seat.inside = nothing                   waits until seat.inside is another
//
// So the favoured thread takes two stores and no atomic step, which would wait for all that it has
// written before. Without the barrier its store and its look at the bias could pass each other; the
// other one makes it for both. Who comes again and again, alone, gets the bias; each time that it
// is taken away makes it harder to get.
//
// Failure   killed inside, by the bias or by the mutex: the next one gets `Recovered`.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/membarrier.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/sync/mutex.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Threads and processes: all members safe. For short sections. Inside one,
/// another lock may be entered, by its mutex then; all who do so agree on an order.
class BiasedLock {
 public:
  class Guard;

  /// `name`: of this lock, and of no other.
  explicit BiasedLock(LockName name) : name_(name), mutex_(Mutex::Kind::Plain) {}
  BiasedLock(BiasedLock const&) = delete;
  BiasedLock& operator=(BiasedLock const&) = delete;

  /// `me`: the calling thread.
  /// Blocks: until it is free, or the deadline passes: then the guard holds nothing.
  Guard enter(Seated const& me, base::Deadline deadline);

  /// Never blocks; the guard holds nothing unless the lock is biased to this thread.
  Guard try_enter_by_bias(Seated const& me);

 private:
  // A seat's number, in a place where 0 is nobody's.
  using SeatName = std::uint32_t;
  static constexpr SeatName kNobody = 0;

  // As often as this in a row, twice as often after each loss of the bias: less than a loss costs.
  static constexpr std::uint32_t kStreak = 32;
  static constexpr std::uint32_t kMostLosses = 16;
  // Longer than any section takes whose thread runs.
  static constexpr std::chrono::microseconds kBetweenLooks{100};
  static constexpr std::chrono::milliseconds kStoreIsSeen{10};

  static SeatName name_of(Seated const& who) noexcept { return who.number + 1; }

  [[gnu::always_inline]] bool enter_by_bias(Seated const& me) noexcept {
    // A seat may have had another process's thread on it when it got the bias.
    if (!me.hears_barriers) return false;
    // acquire: what was done inside before the bias was given was done by this thread, or seen by
    // it
    if (bias_.load(std::memory_order_acquire) != name_of(me)) return false;
    if (me.seat->inside.load(std::memory_order_relaxed) != 0) return false;
    me.seat->inside.store(name_.value, std::memory_order_relaxed);
    // Not only the compiler must keep this order: see barrier_everywhere() in take_bias_away().
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (bias_.load(std::memory_order_acquire) == name_of(me)) return true;
    me.seat->inside.store(0, std::memory_order_release);
    return false;
  }

  /// nullopt: the deadline has passed.
  [[gnu::noinline]] std::optional<os::Acquired> enter_by_mutex(base::Deadline deadline) {
    if (!mutex_.acquire(deadline)) return std::nullopt;
    auto acquired = mutex_.recovered() ? os::Acquired::Recovered : os::Acquired::Clean;
    if (last_ == kNobody) return acquired;
    // (Released without a word of a recovery, by who is late: a death inside cleared last_.)
    if (auto const cleared = take_bias_away(deadline, acquired)) {
      return *cleared == os::Acquired::Recovered ? *cleared : acquired;
    }
    mutex_.release();
    return std::nullopt;
  }

  // What follows: REQUIRES the mutex.

  static void pause(base::Deadline until) {
    os::FutexWord const nothing{0};  // that nobody wakes
    while (!until.passed()) static_cast<void>(os::futex_wait(nothing, 0, until));
  }

  std::optional<os::Acquired> take_bias_away(base::Deadline deadline, os::Acquired acquired) {
    auto& seat = shm::Heap::instance().arena().entry<Seat>(last_ - 1);
    bool const was_given = bias_.exchange(kNobody) != kNobody;
    if (was_given) losses_ = std::min(losses_ + 1, kMostLosses);
    // Who took it away before may have been killed before its barrier.
    if (was_given || acquired == os::Acquired::Recovered) {
      // Without a barrier: far longer than a processor keeps a store to itself.
      if (!os::barrier_everywhere()) pause(base::Deadline::after(kStoreIsSeen));
    }
    for (int looks = 0; seat.inside.load(std::memory_order_acquire) == name_.value; ++looks) {
      if (!seat.life.is_held()) {  // and its seat will be another's
        seat.inside.store(0, std::memory_order_relaxed);
        last_ = kNobody;
        return os::Acquired::Recovered;
      }
      if (deadline.passed()) return std::nullopt;
      constexpr int kLooksBeforeSleeping = 200;
      if (looks < kLooksBeforeSleeping) {
        os::yield_processor();
      } else {
        pause(earlier(deadline, base::Deadline::after(kBetweenLooks)));
      }
    }
    last_ = kNobody;
    return os::Acquired::Clean;
  }

  [[gnu::noinline]] void leave_by_mutex(Seated const& me) {
    if (latest_ != name_of(me)) {
      latest_ = name_of(me);
      streak_ = 0;
    } else if (++streak_ >= kStreak << losses_ && me.hears_barriers) {
      last_ = name_of(me);
      bias_.store(name_of(me), std::memory_order_release);
    }
    mutex_.release();
  }

  // read at every entry
  std::atomic<SeatName> bias_{kNobody};
  LockName const name_;
  // guarded by mutex_
  SeatName last_ = kNobody;    // who had the bias last, and may still be inside
  SeatName latest_ = kNobody;  // who came last by the mutex
  std::uint32_t streak_ = 0;   // how often in a row
  std::uint32_t losses_ = 0;
  Mutex mutex_;
};

/// The lock is held as long as it lives. Belongs to the thread that made it.
class [[nodiscard]] BiasedLock::Guard {
 public:
  Guard(Guard const&) = delete;
  Guard& operator=(Guard const&) = delete;
  [[gnu::always_inline]] ~Guard() {
    if (how_ == How::ByBias) {
      me_.seat->inside.store(0, std::memory_order_release);  // pairs with take_bias_away()
    } else if (how_ == How::ByMutex) {
      lock_.leave_by_mutex(me_);
    }
  }

  explicit operator bool() const noexcept { return how_ != How::NotAtAll; }
  /// Whether the last one inside died there.
  bool recovered() const noexcept { return recovered_; }

 private:
  friend class BiasedLock;
  enum class How { NotAtAll, ByBias, ByMutex };

  Guard(BiasedLock& lock, Seated const& me, How how, bool recovered) noexcept
      : lock_(lock), me_(me), how_(how), recovered_(recovered) {}

  BiasedLock& lock_;
  Seated const& me_;
  How how_;
  bool recovered_;
};

[[gnu::always_inline]] inline BiasedLock::Guard BiasedLock::enter(Seated const& me,
                                                                  base::Deadline deadline) {
  if (enter_by_bias(me)) return Guard(*this, me, Guard::How::ByBias, false);
  auto const acquired = enter_by_mutex(deadline);
  if (!acquired) return Guard(*this, me, Guard::How::NotAtAll, false);
  return Guard(*this, me, Guard::How::ByMutex, *acquired == os::Acquired::Recovered);
}
inline BiasedLock::Guard BiasedLock::try_enter_by_bias(Seated const& me) {
  return Guard(*this, me, enter_by_bias(me) ? Guard::How::ByBias : Guard::How::NotAtAll, false);
}

}  // namespace multiprocessing::sync
