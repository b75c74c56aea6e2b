// SPDX-License-Identifier: BSL-1.0
// Rounds of a barrier in shared memory.
//
//   rounds_ = round << 10 | how many have come in this round
//   verdicts_[round % 64]        how a round ended; written before the round number moves on
//   arrivals_[parity][number]    where each of those who have come is, and whose process it is
//   places_                      a life lock for each; the first choice is places_[parity][number]
//
// Everybody who waits is watched by all others: by those who come later, and by those who were
// there before, because these sleep on the place that one would take. So nobody has to be woken for
// a new party, and the kernel wakes somebody for a dead one, who ends the round.
//
// Failure   killed before it came: the round goes on without it. Killed while it waits, or in the
//           action: the round is broken, by a watcher. Killed in ending a round: it has ended, for
//           all, or a watcher ends it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// How a round ended.
enum class Verdict : std::uint8_t { Passed, Reset, Aborted, TimedOut, ActionFailed, PeerDied };

/// Lives inside a segment, followed by extra_size() bytes of its own.
/// Threads and processes: all members safe.
class alignas(base::kCacheLine) Turnstile {
 public:
  struct [[nodiscard]] Passage {
    Verdict verdict;
    std::uint32_t arrived;  ///< how many had come before
  };

  static constexpr std::uint32_t kMostParties = WaitWord::kLargestChange;

  /// What has to follow the object, in bytes, zero.
  static constexpr std::uint64_t extra_size(std::uint32_t parties) noexcept {
    return std::uint64_t{parties} * (kParities * sizeof(Arrival) + kPlaces * sizeof(shm::LifeLock));
  }

  explicit Turnstile(std::uint32_t parties) : parties_(parties) {
    for (std::uint32_t i = 0; i < kParities * parties; ++i) new (arrivals() + i) Arrival;
    for (std::uint32_t i = 0; i < kPlaces * parties; ++i) new (places() + i) shm::LifeLock;
  }

  /// Blocks: until `parties` have come; the last one runs `action` first, while nobody else can
  /// come or go. A deadline that passes, a death and an exception of the action break the round,
  /// and all later ones until reset(): these end as the broken one did. Throws: what `action`
  /// throws.
  Passage pass(base::Deadline deadline, std::function<void()> const& action) {
    std::uint32_t round = 0;
    std::uint32_t arrived = 0;
    shm::LifeLock* place = nullptr;
    {
      Guarded const guarded(*this);
      round = this->round();
      arrived = waiting();
      if (!is_broken()) break_if_one_is_dead(round, arrived);
      if (is_broken()) return {last_verdict(), 0};
      bool const is_last = arrived + 1 == parties_;
      if (is_last && !action) {
        end_round(Verdict::Passed);
        return {Verdict::Passed, arrived};
      }
      place = &come(round, arrived);
      if (is_last) {
        base::ScopeGuard const leave([=] { place->release_watched(); });
        base::ScopeGuard broken([this] { end_round(Verdict::ActionFailed); });
        action();
        broken.dismiss();
        end_round(Verdict::Passed);
        return {Verdict::Passed, arrived};
      }
    }
    auto const verdict = wait_for_end(round, arrived, deadline);
    place->release_watched();
    return {verdict, arrived};
  }

  /// Ends the round for those who wait, and all later ones until reset().
  void abort() {
    Guarded const guarded(*this);
    if (!is_broken()) end_round(Verdict::Aborted);
  }

  /// Ends the round for those who wait; the next one is a good one.
  void reset() {
    Guarded const guarded(*this);
    if (is_broken() || waiting() > 0) end_round(Verdict::Reset);
  }

  std::uint32_t parties() const noexcept { return parties_; }
  std::uint32_t waiting() const noexcept { return rounds_.value() & kArrived; }
  bool is_broken() const noexcept { return last_verdict() > Verdict::Reset; }

  /// Whose death broke the last round that a death broke; 0 when it is not known.
  pid_t dead() const noexcept { return dead_.load(); }

 private:
  struct Arrival {
    std::atomic<std::uint32_t> place{0};
    std::atomic<pid_t> process{0};
  };

  static constexpr std::uint32_t kRoundShift = 10;
  static constexpr std::uint32_t kOneRound = 1U << kRoundShift;
  static constexpr std::uint32_t kArrived = kOneRound - 1;
  static_assert(kMostParties == kArrived);
  // A thread that has not looked for so many rounds can not have been one of the parties all along.
  static constexpr std::uint32_t kRemembered = 64;
  // Who leaves a round still has its place while others come to the next one.
  static constexpr std::uint32_t kParities = 2;
  // And who leaves slowly may keep it for longer: there is another one for each party.
  static constexpr std::uint32_t kPlaces = kParities + 1;

  /// Holds the guard; when the last holder died with it, the round is broken.
  class Guarded {
   public:
    explicit Guarded(Turnstile& turnstile) : turnstile_(turnstile) {
      if (turnstile.guard_.lock() == os::Acquired::Recovered && !turnstile.is_broken()) {
        turnstile.dead_ = 0;
        turnstile.end_round(Verdict::PeerDied);
      }
    }
    Guarded(Guarded const&) = delete;
    Guarded& operator=(Guarded const&) = delete;
    ~Guarded() { turnstile_.guard_.unlock(); }

   private:
    Turnstile& turnstile_;
  };

  std::uint32_t round() const noexcept { return rounds_.value() >> kRoundShift; }
  Verdict last_verdict() const noexcept { return verdict_of(round() - 1); }
  Verdict verdict_of(std::uint32_t round) const noexcept {
    return verdicts_[round % kRemembered].load();
  }

  Arrival* arrivals() noexcept { return reinterpret_cast<Arrival*>(this + 1); }
  shm::LifeLock* places() noexcept {
    return reinterpret_cast<shm::LifeLock*>(arrivals() + kParities * parties_);
  }
  std::uint32_t first_choice(std::uint32_t round, std::uint32_t number) const noexcept {
    return round % kParities * parties_ + number;
  }
  Arrival& arrival(std::uint32_t round, std::uint32_t number) noexcept {
    return arrivals()[first_choice(round, number)];
  }

  // What follows: REQUIRES the guard.

  /// Takes a place and counts this thread in.
  shm::LifeLock& come(std::uint32_t round, std::uint32_t number) {
    auto place = first_choice(round, number);
    bool const is_expected = places()[place].try_hold_watched();
    for (; !is_expected; place = (place + 1) % (kPlaces * parties_)) {
      if (places()[place].try_hold_watched()) break;
    }
    arrival(round, number).place = place;
    arrival(round, number).process = os::this_pid();
    if (is_expected) {
      auto value = rounds_.value();
      while (!rounds_.exchange_quietly(value, value + 1)) {
      }
    } else {
      rounds_.add(1);  // they sleep on another place, and have to look again
    }
    return places()[place];
  }

  void end_round(Verdict verdict) noexcept {
    auto const arrived = waiting();
    verdicts_[round() % kRemembered] = verdict;
    if (arrived > 0) rounds_.add(kOneRound - arrived);
    // Nobody sleeps now, and nobody can come.
    auto value = rounds_.value();
    while (!rounds_.exchange_alone(value, arrived > 0 ? value : value + kOneRound)) {
    }
  }

  void break_if_one_is_dead(std::uint32_t round, std::uint32_t arrived) {
    for (std::uint32_t number = 0; number < arrived; ++number) {
      auto const& each = arrival(round, number);
      if (places()[each.place.load()].is_held()) continue;
      dead_ = each.process.load();
      end_round(Verdict::PeerDied);
      return;
    }
  }

  // Without the guard:

  Verdict wait_for_end(std::uint32_t round, std::uint32_t own, base::Deadline deadline) {
    auto const has_ended = [=](std::uint32_t value) { return value >> kRoundShift != round; };
    AdaptiveSpin::of_this_thread()([&] { return has_ended(rounds_.value()); });
    for (;;) {
      auto const seen = rounds_.value();
      if (has_ended(seen)) break;
      // Also ready when somebody has come: whoever sleeps on looks whom to watch.
      auto const waited = rounds_.await_parked([=](std::uint32_t value) { return value != seen; },
                                               deadline, others(round, own, seen & kArrived));
      if (waited == Waited::Ready) continue;
      Guarded const guarded(*this);
      if (this->round() != round) break;
      break_if_one_is_dead(round, waiting());
      if (this->round() == round && waited == Waited::TimedOut) end_round(Verdict::TimedOut);
    }
    // 21 bits of a round number
    auto const since = (this->round() - round) & (UINT32_MAX >> (kRoundShift + 1));
    return since <= kRemembered ? verdict_of(round) : Verdict::Reset;
  }

  /// Those who wait, and those who will, from the one after `own` around: who are too many for one
  /// wait are watched by those just before them.
  PeerList others(std::uint32_t round, std::uint32_t own, std::uint32_t arrived) noexcept {
    PeerList list;
    for (std::uint32_t step = 1; step < parties_; ++step) {
      auto const number = (own + step) % parties_;
      bool const is_here = number < arrived;
      auto& place =
          places()[is_here ? arrival(round, number).place.load() : first_choice(round, number)];
      if (!list.add(is_here ? Peer(place) : Peer::absent(place))) break;
    }
    return list;
  }

  std::uint32_t const parties_;
  WaitWord rounds_;
  std::atomic<pid_t> dead_{0};
  os::RobustMutex guard_;
  std::array<std::atomic<Verdict>, kRemembered> verdicts_{};
};

}  // namespace multiprocessing::sync
