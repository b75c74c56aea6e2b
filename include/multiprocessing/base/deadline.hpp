// SPDX-License-Identifier: BSL-1.0
// A point in steady time by which a wait ends. Computed once per public call and passed down, so
// that three inner waits never add up to three timeouts.
#pragma once

#include <chrono>
#include <ctime>

namespace multiprocessing::base {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// A wait with this deadline ends only when what it waits for happened, or can not happen.
  static constexpr Deadline never() noexcept { return Deadline(Clock::time_point::max()); }

  /// For who does not wait.
  static Deadline now() { return Deadline(Clock::now()); }

  /// Times before the clock's beginning have passed as well.
  static constexpr Deadline at(Clock::time_point when) noexcept {
    return Deadline(when < Clock::time_point() ? Clock::time_point() : when);
  }

  /// A time of another clock, as far away as it is now.
  template <class Other, class Duration>
  static Deadline at(std::chrono::time_point<Other, Duration> when) {
    using Seconds = std::chrono::duration<double>;  // has room for any difference
    auto const now = Other::now();
    auto const left = Seconds(when.time_since_epoch()) - Seconds(now.time_since_epoch());
    if (left >= kForever) return never();
    if (left <= Seconds::zero()) return at(Clock::now());
    return after(when - now);
  }

  /// `timeout` from now. Zero and negative timeouts have passed already; what would not fit the
  /// clock is `never()`.
  template <class Rep, class Period>
  static Deadline after(std::chrono::duration<Rep, Period> timeout) {
    using Seconds = std::chrono::duration<double>;
    if (Seconds(timeout) >= kForever) return never();
    auto const now = Clock::now();
    if (!(Seconds(timeout) > Seconds::zero())) return Deadline(now);
    return Deadline(now + std::chrono::ceil<Clock::duration>(timeout));
  }

  bool is_never() const noexcept { return when_ == Clock::time_point::max(); }
  bool passed() const noexcept { return !is_never() && Clock::now() >= when_; }
  Clock::time_point time() const noexcept { return when_; }

  /// Time left, never negative. REQUIRES: !is_never().
  Clock::duration remaining() const noexcept {
    auto const now = Clock::now();
    return when_ > now ? when_ - now : Clock::duration::zero();
  }

  friend Deadline earlier(Deadline a, Deadline b) noexcept { return a.when_ < b.when_ ? a : b; }

 private:
  // A century: far below the 292 years that 64-bit nanoseconds reach, and nobody's real timeout.
  static constexpr std::chrono::duration<double> kForever{100.0 * 365 * 24 * 3600};

  constexpr explicit Deadline(Clock::time_point when) noexcept : when_(when) {}

  Clock::time_point when_;
};

/// Seconds and nanoseconds of a non-negative duration, as system calls take them.
inline timespec to_timespec(Deadline::Clock::duration duration) noexcept {
  auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  auto const rest = std::chrono::duration_cast<std::chrono::nanoseconds>(duration - seconds);
  return {static_cast<std::time_t>(seconds.count()), static_cast<long>(rest.count())};
}

}  // namespace multiprocessing::base
