// SPDX-License-Identifier: BSL-1.0
// Rounds of a barrier in shared memory.
//
//   rounds_ = round << 10 | how many have come in this round
//   failures_                    the last rounds that did not end well, and why; written before the
//                                round number moves on
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
    for (;;) {
      auto const arrived = arrive(deadline, action);
      if (arrived.is_over) return arrived.passage;
      if (arrived.place == nullptr) {  // until somebody who has been stopped goes on
        static_cast<void>(rounds_.await_parked(
            [](std::uint32_t) { return false; },
            earlier(deadline, base::Deadline::after(park_detail::kLivenessCheck))));
        continue;
      }
      auto const number = arrived.passage.arrived;
      auto const verdict = wait_for_end(arrived.round, number, deadline);
      arrived.place->release_watched();
      return {verdict, number};
    }
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
  struct Arrived {
    bool is_over;
    Passage passage;
    std::uint32_t round = 0;
    shm::LifeLock* place = nullptr;  ///< null, and not over: there was none
  };

  struct Arrival {
    std::atomic<std::uint32_t> place{0};
    std::atomic<pid_t> process{0};
  };

  static constexpr std::uint32_t kRoundShift = 10;
  static constexpr std::uint32_t kOneRound = 1U << kRoundShift;
  static constexpr std::uint32_t kArrived = kOneRound - 1;
  static constexpr std::uint32_t kRoundMask = WaitWord::kLargest >> kRoundShift;
  static constexpr std::uint32_t kVerdictShift = 8;
  static constexpr std::uint32_t kVerdictMask = (1U << kVerdictShift) - 1;
  static_assert(kMostParties == kArrived);
  // A round that is not among the last so many failed ones has passed.
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
  static bool is_of(std::uint32_t failure, std::uint32_t round) noexcept {
    return failure >> kVerdictShift == (round & kRoundMask);
  }
  /// What verdict_of(round() - 1) is, in one look.
  Verdict last_verdict() const noexcept {
    auto const count = failed_.load();
    if (count == 0) return Verdict::Passed;
    auto const failure = failures_[(count - 1) % kRemembered].load();
    return is_of(failure, round() - 1) ? static_cast<Verdict>(failure & kVerdictMask)
                                       : Verdict::Passed;
  }
  Verdict verdict_of(std::uint32_t round) const noexcept {
    auto const count = failed_.load();
    for (std::uint32_t back = 1; back <= kRemembered && back <= count; ++back) {
      auto const failure = failures_[(count - back) % kRemembered].load();
      if (is_of(failure, round)) return static_cast<Verdict>(failure & kVerdictMask);
    }
    return Verdict::Passed;
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

  // These take it themselves:

  Arrived arrive(base::Deadline deadline, std::function<void()> const& action) {
    Guarded const guarded(*this);
    auto const round = this->round();
    auto const arrived = waiting();
    if (!is_broken()) break_if_one_is_dead(round, arrived);
    if (is_broken()) return {true, {last_verdict(), 0}};
    bool const is_last = arrived + 1 == parties_;
    if (is_last && !action) {
      end_round(Verdict::Passed);
      return {true, {Verdict::Passed, arrived}};
    }
    auto* const place = come(round, arrived);
    if (place == nullptr && deadline.passed()) {
      end_round(Verdict::TimedOut);
      return {true, {Verdict::TimedOut, arrived}};
    }
    if (place == nullptr || !is_last) return {false, {Verdict::Passed, arrived}, round, place};
    base::ScopeGuard const leave([=] { place->release_watched(); });
    base::ScopeGuard broken([this] { end_round(Verdict::ActionFailed); });
    action();
    broken.dismiss();
    end_round(Verdict::Passed);
    return {true, {Verdict::Passed, arrived}};
  }

  /// Takes a place and counts this thread in. null: those who are slow to leave have all places.
  shm::LifeLock* come(std::uint32_t round, std::uint32_t number) {
    auto const expected = first_choice(round, number);
    auto const all = kPlaces * parties_;
    for (std::uint32_t step = 0; step < all; ++step) {
      auto const place = (expected + step) % all;
      if (!places()[place].try_hold_watched()) continue;
      arrival(round, number).place = place;
      arrival(round, number).process = os::this_pid();
      if (place == expected) {
        auto value = rounds_.value();
        while (!rounds_.exchange_quietly(value, value + 1)) {
        }
      } else {
        rounds_.add(1);  // they sleep on another place, and have to look again
      }
      return &places()[place];
    }
    return nullptr;
  }

  void end_round(Verdict verdict) noexcept {
    auto const arrived = waiting();
    if (verdict != Verdict::Passed) {
      auto const count = failed_.load();
      failures_[count % kRemembered] =
          round() << kVerdictShift | static_cast<std::uint32_t>(verdict);
      failed_ = count + 1;
    }
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
      auto const others = this->others(round, own, seen & kArrived);
      auto const end = others.are_all
                           ? deadline
                           : earlier(deadline, base::Deadline::after(park_detail::kLivenessCheck));
      // Also ready when somebody has come: whoever sleeps on looks whom to watch.
      auto const waited = rounds_.await_parked([=](std::uint32_t value) { return value != seen; },
                                               end, others.peers);
      if (waited == Waited::Ready) continue;
      Guarded const guarded(*this);
      if (this->round() != round) break;
      break_if_one_is_dead(round, waiting());
      if (this->round() == round && deadline.passed()) end_round(Verdict::TimedOut);
    }
    return verdict_of(round);
  }

  struct Others {
    PeerList peers;
    bool are_all = true;  ///< who stands on another's way out can not be watched
  };

  /// Those who wait, and those who will: the nearest on both sides, so that each is watched by all
  /// when they fit one wait, and else by those beside it.
  Others others(std::uint32_t round, std::uint32_t own, std::uint32_t arrived) noexcept {
    Others others;
    auto const add = [&](std::uint32_t number) {
      bool const is_here = number < arrived;
      auto& place =
          places()[is_here ? arrival(round, number).place.load() : first_choice(round, number)];
      if (!is_here && place.is_held()) {
        others.are_all = false;
        return true;
      }
      return others.peers.add(is_here ? Peer(place) : Peer::absent(place));
    };
    for (std::uint32_t step = 1; 2 * step <= parties_; ++step) {
      if (!add((own + parties_ - step) % parties_)) break;
      if (2 * step < parties_ && !add((own + step) % parties_)) break;
    }
    return others;
  }

  std::uint32_t const parties_;
  WaitWord rounds_;
  std::atomic<pid_t> dead_{0};
  os::RobustMutex guard_;
  std::atomic<std::uint32_t> failed_{0};  // how many rounds
  // (round << 8) | verdict, the latest at failed_ - 1
  std::array<std::atomic<std::uint32_t>, kRemembered> failures_{};
};

}  // namespace multiprocessing::sync
