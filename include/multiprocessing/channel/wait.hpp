// SPDX-License-Identifier: BSL-1.0
// The one way to put and get at a lane: try, spin, then sleep, until it is done, the deadline
// passes, or nobody is left who could help.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/audience.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/sync/quiet_flag.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::channel {

namespace wait_detail {
// Who has come since a wait began is not among those that it watches: it asks again so often ..
inline constexpr std::chrono::seconds kWhoIsThere{2};
// .. or so often while there are some who can not be watched.
inline constexpr std::chrono::milliseconds kLivenessCheck{10};
// Others are inside a lane for no time, unless they do not run: who came at its deadline waits for
// that, so that one who must not wait finds what is there also while others put and get.
inline constexpr std::chrono::seconds kInside{1};

// Who has caught up with the other side of a stream would meet it at each message from now on, and
// each would wait for the line that the other one has. A head start for the other, and many
// messages go at once: several times as many a second, the first of them so much later.
inline constexpr std::uint32_t kStream = 8;  // messages without a wait
inline constexpr std::chrono::nanoseconds kHeadStart{1500};

/// Of an `attempt(deadline)`, a Lane's put or get, that came to `outcome` at first.
template <class Attempt>
Lane::Outcome outcome_at_last(Lane::Outcome outcome, Attempt const& attempt) {
  if (outcome != Lane::Outcome::TimedOut) return outcome;
  return attempt(base::Deadline::after(kInside));
}
}  // namespace wait_detail

/// Waits until `ready()` or the deadline. Whoever makes it true tells `flag`, of `lane`,
/// afterwards. `PeerDied`: it is not ready, and `is_over(others)` says that nobody can make it so,
/// where `others` are those beside this process whom `audience` finds.
template <class Ready, class IsOver>
sync::Waited wait_at(Lane& lane, sync::QuietFlag& flag, Audience const& audience,
                     Ready const& ready, IsOver const& is_over, base::Deadline deadline) {
  if (ready()) return sync::Waited::Ready;
  auto const is_ready_now = [&] {
    if (&flag == &lane.items()) lane.settle(sync::this_thread_seated());
    return ready();
  };
  if (deadline.passed()) {
    if (is_ready_now()) return sync::Waited::Ready;
    if (audience.is_there()) return sync::Waited::TimedOut;
    return ready() ? sync::Waited::Ready : sync::Waited::PeerDied;
  }
  auto const& pace = &flag == &lane.items() ? lane.put_pace() : lane.get_pace();
  if (sync::AdaptiveSpin::of_this_thread()(ready, pace.processor())) return sync::Waited::Ready;
  for (;;) {
    auto const changes = lane.changes();
    sync::PeerList peers;
    auto const others = audience.watch(peers);
    if (is_ready_now()) return sync::Waited::Ready;  // also by who has died before that look
    if (is_over(others)) return ready() ? sync::Waited::Ready : sync::Waited::PeerDied;
    auto const check = others.can_be_watched ? base::Deadline::after(wait_detail::kWhoIsThere)
                                             : base::Deadline::after(wait_detail::kLivenessCheck);
    auto const is_news = [&] { return ready() || lane.changes() != changes; };
    static_cast<void>(flag.await(is_news, earlier(deadline, check), peers));
    if (ready()) return sync::Waited::Ready;
    if (deadline.passed()) return sync::Waited::TimedOut;
  }
}

enum class [[nodiscard]] Passed{Done, Refused, Closed, TimedOut, NobodyThere};

namespace wait_detail {
/// nullopt: there is neither room nor a message yet.
constexpr std::optional<Passed> settled(Lane::Outcome outcome) noexcept {
  switch (outcome) {
    case Lane::Outcome::Done:
      return Passed::Done;
    case Lane::Outcome::Refused:
      return Passed::Refused;
    case Lane::Outcome::Closed:
      return Passed::Closed;
    case Lane::Outcome::TimedOut:
      return Passed::TimedOut;
    default:
      return std::nullopt;
  }
}
/// Whether the other side of a stream was given one, see kStream.
inline bool gives_head_start(Pace& pace, base::Deadline deadline) noexcept {
  if (pace.take_run() < kStream || deadline.passed()) return false;
  auto const end = base::Deadline::Clock::now() + kHeadStart;
  while (base::Deadline::Clock::now() < end) os::relax_processor();
  return true;
}

/// What follows a first attempt that was not done; see put_until().
template <class Attempt, class IsOver, class IsStopped>
[[gnu::noinline]] Passed go_on_putting(Lane::Outcome outcome, Lane& lane, Audience const& readers,
                                       std::uint64_t weight, Attempt const& attempt,
                                       IsOver const& is_over, IsStopped const& is_stopped,
                                       base::Deadline deadline) {
  for (;; outcome = attempt(deadline)) {
    if (auto const passed = settled(outcome_at_last(outcome, attempt))) return *passed;
    if (gives_head_start(lane.put_pace(), deadline)) continue;
    auto const is_ready = [&] { return lane.has_room(weight) || lane.is_closed() || is_stopped(); };
    switch (wait_at(lane, lane.room(), readers, is_ready, is_over, deadline)) {
      case sync::Waited::TimedOut:
        return Passed::TimedOut;
      case sync::Waited::PeerDied:
        return Passed::NobodyThere;
      case sync::Waited::Ready:
        if (is_stopped()) return Passed::Closed;
        break;
    }
  }
}

/// ... see get_until().
template <class Attempt, class IsOver, class IsStopped>
[[gnu::noinline]] Passed go_on_getting(Lane::Outcome outcome, Lane& lane, Audience const& writers,
                                       Attempt const& attempt, IsOver const& is_over,
                                       IsStopped const& is_stopped, base::Deadline deadline) {
  auto const& me = sync::this_thread_seated();
  for (bool is_last = false;; outcome = attempt(deadline)) {
    if (auto const passed = settled(outcome_at_last(outcome, attempt))) return *passed;
    if (is_last) return Passed::NobodyThere;
    if (gives_head_start(lane.get_pace(), deadline)) continue;
    auto const is_ready = [&] { return lane.has_message(me) || lane.is_closed() || is_stopped(); };
    switch (wait_at(lane, lane.items(), writers, is_ready, is_over, deadline)) {
      case sync::Waited::TimedOut:
        return Passed::TimedOut;
      case sync::Waited::PeerDied:
        is_last = true;  // what they sent before they went is there by now
        break;
      case sync::Waited::Ready:
        if (is_stopped()) return Passed::Closed;
        break;
    }
  }
}
}  // namespace wait_detail

/// Calls `attempt(deadline)`, a Lane's put, until it has found room; for `weight` see has_room().
/// `is_stopped()`: somebody in this process has asked the wait to end, then Closed.
template <class Attempt, class IsOver, class IsStopped>
[[gnu::always_inline]] inline Passed put_until(Lane& lane, Audience const& readers,
                                               std::uint64_t weight, Attempt const& attempt,
                                               IsOver const& is_over, IsStopped const& is_stopped,
                                               base::Deadline deadline) {
  auto const outcome = attempt(deadline);
  if (outcome == Lane::Outcome::Done) [[likely]]
    return Passed::Done;
  return wait_detail::go_on_putting(outcome, lane, readers, weight, attempt, is_over, is_stopped,
                                    deadline);
}

/// Waits for a message and shows it to `take`, see Lane::get().
template <class Take, class IsOver, class IsStopped>
[[gnu::always_inline]] inline Passed get_until(Lane& lane, Audience const& writers,
                                               Take const& take, IsOver const& is_over,
                                               IsStopped const& is_stopped,
                                               base::Deadline deadline) {
  auto const& me = sync::this_thread_seated();
  auto const attempt = [&](base::Deadline until) { return lane.get(me, take, until); };
  auto const outcome = attempt(deadline);
  if (outcome == Lane::Outcome::Done) [[likely]]
    return Passed::Done;
  return wait_detail::go_on_getting(outcome, lane, writers, attempt, is_over, is_stopped, deadline);
}

}  // namespace multiprocessing::channel
