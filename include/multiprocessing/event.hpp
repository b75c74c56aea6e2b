// SPDX-License-Identifier: BSL-1.0
// A flag that processes and threads wait for.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/wait_word.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// A handle; a copy is the same event, also in a process that is started with it, or receives it.
/// Threads, processes: all members safe.
/// Peer death: killed at any instruction of set(), either nothing has happened, or the event is set
/// and everybody is awake. A waiter that is killed costs nobody anything.
/// Python: multiprocessing.Event. Differs: who waits while it is set and cleared at once is woken.
class Event {
 public:
  /// Throws: std::bad_alloc, std::system_error.
  Event() : state_(shm::Shared<sync::WaitWord>::make(0)) {}

  /// Whether it is set. No system call.
  [[nodiscard]] bool is_set() const noexcept { return is_set(state_->value()); }

  /// Wakes all who wait. No system call when nobody does. Async-signal-safe.
  void set() const noexcept { state_->set_bits(kSet); }

  /// Who waits from now on, waits until it is set again.
  void clear() const noexcept {
    for (auto value = state_->value(); is_set(value);) {
      // Nobody sleeps while it is set. The rest of the value counts how often it was cleared.
      if (state_->exchange_alone(value, value - kSet + kCleared)) return;
    }
  }

  /// Blocks: until it is set. Always true, as in Python.
  bool wait() const { return wait_by(base::Deadline::never()); }
  /// Blocks: at most for `timeout`. Whether it was set.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_by(base::Deadline::after(timeout));
  }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return wait(timeout);
  }
  template <class Clock, class Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> when) const {
    return wait_by(base::Deadline::at(when));
  }

  /// "<Event(set)>", "<Event(unset)>".
  friend std::string to_string(Event const& event) {
    return event.is_set() ? "<Event(set)>" : "<Event(unset)>";
  }
  friend std::ostream& operator<<(std::ostream& out, Event const& event) {
    return out << to_string(event);
  }

  /// Whether both are the same event.
  friend bool operator==(Event const&, Event const&) = default;

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, state_, "an Event");
  }
  template <class Decoder>
  static Event decode_from(Decoder& decoder) {
    return Event(wire::read_handle<sync::WaitWord>(decoder));
  }

 private:
  explicit Event(shm::Shared<sync::WaitWord> const& state) : state_(state) {}

  static constexpr std::uint32_t kSet = 1;
  static constexpr std::uint32_t kCleared = 2;

  static constexpr bool is_set(std::uint32_t value) noexcept { return (value & kSet) != 0; }

  bool wait_by(base::Deadline deadline) const {
    auto const before = state_->value();
    auto const was_set = [=](std::uint32_t value) { return is_set(value) || value != before; };
    return state_->await(was_set, deadline) == sync::Waited::Ready;
  }

  shm::Shared<sync::WaitWord> state_;
};

}  // namespace multiprocessing
