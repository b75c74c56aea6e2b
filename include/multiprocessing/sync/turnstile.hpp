// SPDX-License-Identifier: BSL-1.0
// Rounds of a barrier in shared memory.
//
//   rounds_ = round << 10 | who has come in this round
//   verdicts_[round % 64]   how a round ended; written before the round number moves on
//
// Everybody who waits is watched: who comes watches those who are there, and of those it makes one
// look again, which then watches who came. Whoever sees a death ends the round.
//
// Failure   killed before it came: the round goes on without it. Killed while it waits, or in the
//           action: the round is broken, by a watcher. Killed in ending a round: it has ended, for
//           all, or a watcher ends it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <climits>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/seats.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// How a round ended.
enum class Verdict : std::uint8_t { Passed, Reset, Aborted, TimedOut, ActionFailed, PeerDied };

/// Lives inside a segment. Threads and processes: all members safe.
class Turnstile {
 public:
  struct [[nodiscard]] Passage {
    Verdict verdict;
    std::uint32_t arrived;  ///< how many had come before
  };

  static constexpr std::uint32_t kMostParties = WaitWord::kLargestChange;

  explicit Turnstile(std::uint32_t parties) : parties_(parties) {}

  /// Blocks: until `parties` have come; the last one runs `action` first, while nobody else can
  /// come or go. A deadline that passes, a death and an exception of the action break the round,
  /// and all later ones until reset(): these end as the broken one did. `id`: what names this
  /// object in all processes. Throws: what `action` throws.
  Passage pass(std::uint64_t id, base::Deadline deadline, std::function<void()> const& action) {
    auto& seat = this_threads_seat();  // may throw: while nobody counts on this thread
    std::uint32_t round = 0;
    std::uint32_t arrived = 0;
    {
      Guarded guarded(*this);
      if (is_broken() || !all_alive(id)) return {last_verdict(), 0};
      round = this->round();
      arrived = waiting();
      if (arrived + 1 == parties_) {
        if (action) act(action);
        end_round(Verdict::Passed);
        return {Verdict::Passed, arrived};
      }
      announce();
      seat.sit(id, round);
    }
    auto const verdict = wait_for_end(id, round, deadline, seat);
    seat.stand();
    return {verdict, arrived};
  }

  /// Ends the round for those who wait, and all later ones until reset().
  void abort() {
    Guarded const guarded(*this);
    if (!is_broken()) end_round(Verdict::Aborted);
  }

  /// Ends the round for those who wait; the next one is a good one.
  void reset(std::uint64_t id) {
    Guarded const guarded(*this);
    if (is_broken() || waiting() > 0) end_round(Verdict::Reset);
    clear_evidence(shm::Heap::instance().arena(), id);
  }

  std::uint32_t parties() const noexcept { return parties_; }
  std::uint32_t waiting() const noexcept { return rounds_.value() & kArrived; }
  bool is_broken() const noexcept { return last_verdict() > Verdict::Reset; }

  /// Whose death broke the last round that a death broke; 0 when it is not known.
  pid_t dead() const noexcept { return dead_.load(); }

 private:
  static constexpr std::uint32_t kRoundShift = 10;
  static constexpr std::uint32_t kOneRound = 1U << kRoundShift;
  static constexpr std::uint32_t kArrived = kOneRound - 1;
  // A thread that has not looked for so many rounds can not have been one of the parties all along.
  static constexpr std::uint32_t kRemembered = 64;
  static_assert(kMostParties == kArrived);

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

  // What follows: REQUIRES the guard.

  /// Counts the calling thread in, and wakes one who waits: that one comes to the guard, and so
  /// learns of this thread's seat, or of its death. Before this thread sits down, or acts.
  void announce() noexcept { rounds_.add(1, parties_ > kMostPeers ? INT_MAX : 1); }

  void act(std::function<void()> const& action) {
    announce();
    base::ScopeGuard broken([this] { end_round(Verdict::ActionFailed); });
    action();
    broken.dismiss();
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

  /// False, and the round is broken, when somebody died waiting in it.
  bool all_alive(std::uint64_t id) {
    Seat const* dead = nullptr;
    for_each_seat(shm::Heap::instance().arena(), id, [&](Seat& seat) {
      if (seat.ticket.load() == round() && !seat.life.is_held()) dead = &seat;
    });
    if (dead == nullptr) return true;  // others of earlier rounds may still be on their way out
    dead_ = dead->process.load();
    end_round(Verdict::PeerDied);
    clear_evidence(shm::Heap::instance().arena(), id);
    return false;
  }

  /// The others who wait in this round: those that follow this thread in the table, and so on from
  /// its beginning, so that everybody is watched by somebody when they are too many for one.
  PeerList others(std::uint64_t id, Seat const& own) {
    PeerList watched;
    for (bool const behind : {true, false}) {
      for_each_seat(shm::Heap::instance().arena(), id, [&](Seat& seat) {
        if (&seat == &own || (&seat > &own) != behind || seat.ticket.load() != round()) return;
        watched.add(Peer(seat.life));
      });
    }
    return watched;
  }

  // Without the guard:

  Verdict wait_for_end(std::uint64_t id, std::uint32_t round, base::Deadline deadline,
                       Seat const& own) {
    AdaptiveSpin::of_this_thread()([&] { return this->round() != round; });
    for (;;) {
      std::uint32_t seen = 0;
      PeerList watched;
      if (this->round() == round) {
        Guarded const guarded(*this);
        if (this->round() == round && all_alive(id)) {
          if (deadline.passed()) end_round(Verdict::TimedOut);
          watched = others(id, own);
          seen = rounds_.value();
        }
      }
      if (this->round() != round) break;
      static_cast<void>(rounds_.await_parked([=](std::uint32_t value) { return value != seen; },
                                             deadline, watched));
    }
    // 21 bits of a round number
    auto const since = (this->round() - round) & (UINT32_MAX >> (kRoundShift + 1));
    return since <= kRemembered ? verdict_of(round) : Verdict::Reset;
  }

  std::uint32_t const parties_;
  WaitWord rounds_;
  std::atomic<pid_t> dead_{0};
  os::RobustMutex guard_;
  std::array<std::atomic<Verdict>, kRemembered> verdicts_{};
};

}  // namespace multiprocessing::sync
