// SPDX-License-Identifier: BSL-1.0
// A place where a fixed number of processes and threads wait for each other.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/turnstile.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// Python: the optional arguments of multiprocessing.Barrier.
struct BarrierOptions {
  /// Run by one of the parties, when all have come and before any goes on. It must not use the
  /// barrier; who does gets std::system_error (resource_deadlock_would_occur).
  std::function<void()> action = {};
  /// Of wait() without one; nullopt: none.
  std::optional<std::chrono::nanoseconds> timeout = {};
};

/// A handle; a copy is the same barrier, also in a process that is started with it, or receives it:
/// one with an action can not be sent (PicklingError).
/// Threads, processes: all members safe.
/// Peer death: of a party that waits, or runs the action, and of anybody in the middle of a call:
/// the barrier is broken, and the others get BrokenBarrierError. A party that dies before it comes
/// is not known: give waits a timeout. Python: multiprocessing.Barrier. Differs: a killed party
/// breaks it; 0 parties are refused.
class Barrier {
 public:
  /// Throws: std::invalid_argument unless `parties` is between 1 and 1023, std::bad_alloc,
  /// std::system_error.
  explicit Barrier(std::int64_t parties) : Barrier(BarrierOptions{}, parties) {}
  Barrier(BarrierOptions options, std::int64_t parties)
      : options_(std::make_shared<BarrierOptions const>(std::move(options))),
        state_(make(checked(parties))) {}

  /// Blocks: until all parties have come, or the barrier's timeout; and while the action runs.
  /// Returns a number from 0 to parties() - 1, another one for each party. Throws:
  /// BrokenBarrierError when it is broken meanwhile, or was when the caller came; the party that
  /// runs the action: what it throws, and the barrier is broken.
  int wait() const {
    auto const deadline =
        options_->timeout ? base::Deadline::after(*options_->timeout) : base::Deadline::never();
    return number_of(pass(deadline));
  }
  /// Blocks: at most for `timeout`; when it has passed, the barrier is broken.
  template <class Rep, class Period>
  int wait(std::chrono::duration<Rep, Period> timeout) const {
    return number_of(pass(base::Deadline::after(timeout)));
  }
  /// The same, but nullopt when this timeout has passed.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<int> wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return unless_timed_out(base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<int> wait_until(std::chrono::time_point<Clock, Duration> when) const {
    return unless_timed_out(base::Deadline::at(when));
  }

  /// Blocks, here and in reset(): while the action runs.
  /// Breaks it: all who wait, and who come later, get BrokenBarrierError.
  void abort() const { state_->abort(); }
  /// Makes it a new one: those who wait get BrokenBarrierError, who comes later does not.
  void reset() const { state_->reset(); }

  /// How many it waits for.
  int parties() const noexcept { return static_cast<int>(state_->parties()); }
  /// How many wait now.
  int n_waiting() const noexcept { return static_cast<int>(state_->waiting()); }
  [[nodiscard]] bool broken() const noexcept { return state_->is_broken(); }

  /// "<Barrier(parties=3, waiting=1)>", "<Barrier(parties=3, broken)>".
  friend std::string to_string(Barrier const& barrier) {
    return "<Barrier(parties=" + std::to_string(barrier.parties()) +
           (barrier.broken() ? ", broken" : ", waiting=" + std::to_string(barrier.n_waiting())) +
           ")>";
  }
  friend std::ostream& operator<<(std::ostream& out, Barrier const& barrier) {
    return out << to_string(barrier);
  }

  /// Whether both are the same barrier.
  friend bool operator==(Barrier const& a, Barrier const& b) noexcept {
    return a.state_ == b.state_;
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    if (options_->action) {
      throw PicklingError(
          "a Barrier with an action can not be sent, because a std::function hides what it holds; "
          "pass it to a Process, or call the action where Barrier.wait returns 0");
    }
    wire::save_handle(encoder, state_, "a Barrier");
    encoder(options_->timeout);
  }
  template <class Decoder>
  static Barrier decode_from(Decoder& decoder) {
    auto const state = wire::read_handle<sync::Turnstile>(decoder);
    BarrierOptions options;
    decoder(options.timeout);
    return Barrier(std::move(options), state);
  }

 private:
  using Passage = sync::Turnstile::Passage;

  Barrier(BarrierOptions options, shm::Shared<sync::Turnstile> const& state)
      : options_(std::make_shared<BarrierOptions const>(std::move(options))), state_(state) {}

  static std::uint32_t checked(std::int64_t parties) {
    if (parties < 1 || parties > sync::Turnstile::kMostParties) {
      throw std::invalid_argument("Barrier: the number of parties " + std::to_string(parties) +
                                  " is not between 1 and " +
                                  std::to_string(sync::Turnstile::kMostParties));
    }
    return static_cast<std::uint32_t>(parties);
  }

  static shm::Shared<sync::Turnstile> make(std::uint32_t parties) {
    return shm::Shared<sync::Turnstile>::make(sync::Turnstile::extra_size(parties), parties);
  }

  Passage pass(base::Deadline deadline) const { return state_->pass(deadline, options_->action); }

  int number_of(Passage passage) const {
    if (passage.verdict == sync::Verdict::Passed) return static_cast<int>(passage.arrived);
    throw BrokenBarrierError("Barrier.wait: " + reason(passage.verdict));
  }
  std::optional<int> unless_timed_out(base::Deadline deadline) const {
    auto const passage = pass(deadline);
    if (passage.verdict == sync::Verdict::TimedOut && deadline.passed()) return std::nullopt;
    return number_of(passage);
  }

  std::string reason(sync::Verdict verdict) const {
    switch (verdict) {
      case sync::Verdict::Reset:
        return "the barrier was reset";
      case sync::Verdict::Aborted:
        return "the barrier was aborted";
      case sync::Verdict::TimedOut:
        return "the timeout of a party has passed";
      case sync::Verdict::ActionFailed:
        return "the action threw an exception in another party";
      case sync::Verdict::PeerDied:
        break;
      case sync::Verdict::Passed:
        return "passed";
    }
    auto const pid = state_->dead();
    return pid == 0 ? "a party died in it" : "process " + std::to_string(pid) + " died waiting";
  }

  std::shared_ptr<BarrierOptions const> options_;
  shm::Shared<sync::Turnstile> state_;
};

}  // namespace multiprocessing
