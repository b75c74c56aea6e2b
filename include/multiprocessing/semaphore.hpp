// SPDX-License-Identifier: BSL-1.0
// Counting what processes and threads may take at the same time.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/counter.hpp>
#include <multiprocessing/sync/reclaiming_counter.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// What a semaphore begins with.
struct SemaphoreOptions {
  /// What can be acquired at first.
  std::int64_t value = 1;
  /// What a process still holds when it dies is given back, at once. Then each process releases
  /// what it acquired itself, and nothing else. Complexity: 32 KiB, and a look at each process of
  /// the family for each call.
  bool reclaim = false;
};

/// A handle; a copy is the same semaphore, also in a process that is started with it, or receives
/// it. Works with std::scoped_lock and std::unique_lock.
/// Threads, processes: all members safe; without `reclaim` any of them may release what another
/// acquired.
/// Peer death: a waiter that is killed costs nobody anything; what a dead process had acquired is
/// lost, unless `reclaim` was asked for.
/// Python: multiprocessing.Semaphore. Differs: reclaim.
class Semaphore {
 public:
  /// Throws: std::invalid_argument when `value` is negative or above 2^31 - 1, std::bad_alloc,
  /// std::system_error.
  explicit Semaphore(std::int64_t value = 1) : Semaphore(SemaphoreOptions{.value = value}) {}
  explicit Semaphore(SemaphoreOptions options)
      : Semaphore(kUnbounded, options, sync::Counter::kLargest) {}

  /// Blocks: until it was above zero and has been lowered. Always true, as in Python.
  bool acquire() const { return acquire_by(base::Deadline::never()); }
  /// Blocks: at most for `timeout`. Whether it has been lowered.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(std::chrono::duration<Rep, Period> timeout) const {
    return acquire_by(base::Deadline::after(timeout));
  }
  /// Python: acquire(block=False).
  [[nodiscard]] bool try_acquire() const {
    if (auto const* const counter = reclaiming()) {
      return (*counter)->try_acquire(shm::Heap::instance().arena(), me());
    }
    return counting()->try_acquire();
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> timeout) const {
    return acquire(timeout);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(std::chrono::time_point<Clock, Duration> when) const {
    return acquire_by(base::Deadline::at(when));
  }

  /// Raises it by one and wakes one who waits.
  /// Throws: std::logic_error when a BoundedSemaphore would exceed its first value, a Semaphore
  /// 2^31 - 1, or when with `reclaim` this process holds nothing.
  void release() const {
    if (auto const* const counter = reclaiming()) {
      if ((*counter)->release(shm::Heap::instance().arena(), me())) return;
      throw std::logic_error(name_ + std::string(".release: this process holds nothing of it"));
    }
    if (!counting()->release()) {
      throw std::logic_error(name_ + std::string(".release: released too often, the value is ") +
                             std::to_string(get_value()) + " already");
    }
  }

  /// What can be acquired now.
  [[nodiscard]] std::uint32_t get_value() const {
    if (auto const* const counter = reclaiming()) {
      return (*counter)->value(shm::Heap::instance().arena());
    }
    return counting()->value();
  }

  void lock() const { acquire(); }
  [[nodiscard]] bool try_lock() const { return try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> timeout) const {
    return acquire(timeout);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) const {
    return try_acquire_until(when);
  }
  void unlock() const { release(); }

  /// "<Semaphore(value=2)>".
  friend std::string to_string(Semaphore const& semaphore) {
    return std::string("<") + semaphore.name_ + "(value=" + std::to_string(semaphore.get_value()) +
           ")>";
  }
  friend std::ostream& operator<<(std::ostream& out, Semaphore const& semaphore) {
    return out << to_string(semaphore);
  }

  /// Whether both are the same semaphore.
  friend bool operator==(Semaphore const& a, Semaphore const& b) noexcept {
    return a.state_ == b.state_;
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    bool const is_bounded = std::string_view(name_) == kBounded;
    encoder(is_bounded, reclaiming() != nullptr);
    auto const* const what = is_bounded ? "a BoundedSemaphore" : "a Semaphore";
    std::visit([&](auto const& state) { wire::save_handle(encoder, state, what); }, state_);
  }
  template <class Decoder>
  static Semaphore decode_from(Decoder& decoder) {
    bool is_bounded = false;
    bool reclaims = false;
    decoder(is_bounded, reclaims);
    auto const* const name = is_bounded ? kBounded : kUnbounded;
    if (reclaims) return {name, wire::read_handle<sync::ReclaimingCounter>(decoder)};
    return {name, wire::read_handle<sync::Counter>(decoder)};
  }

 protected:
  static constexpr char const* kUnbounded = "Semaphore";
  static constexpr char const* kBounded = "BoundedSemaphore";

  Semaphore(char const* name, SemaphoreOptions options, std::uint32_t bound)
      : name_(name), state_(make(name, options, bound)) {}

  static std::uint32_t checked(char const* name, std::int64_t value) {
    if (value < 0 || value > sync::Counter::kLargest) {
      throw std::invalid_argument(std::string(name) + ": the value " + std::to_string(value) +
                                  " is not between 0 and " +
                                  std::to_string(sync::Counter::kLargest));
    }
    return static_cast<std::uint32_t>(value);
  }

 private:
  using Counting = shm::Shared<sync::Counter>;
  using Reclaiming = shm::Shared<sync::ReclaimingCounter>;
  using State = std::variant<Counting, Reclaiming>;

  Semaphore(char const* name, State const& state) : name_(name), state_(state) {}

  static State make(char const* name, SemaphoreOptions options, std::uint32_t bound) {
    auto const value = checked(name, options.value);
    if (options.reclaim) return Reclaiming::make(0, value);
    return Counting::make(0, value, bound);
  }

  bool acquire_by(base::Deadline deadline) const {
    if (auto const* const counter = reclaiming()) {
      return (*counter)->acquire(shm::Heap::instance().arena(), me(), deadline);
    }
    return counting()->acquire(deadline);
  }

  Counting const& counting() const noexcept { return *std::get_if<Counting>(&state_); }
  Reclaiming const* reclaiming() const noexcept { return std::get_if<Reclaiming>(&state_); }

  shm::Number me() const {
    shm::Number const me = shm::Heap::instance().me();
    if (me == shm::Arena::kNobody) {
      throw std::runtime_error(name_ + std::string(": too many processes share this memory, and "
                                                   "nobody could tell what this one holds"));
    }
    return me;
  }

  char const* name_;
  State state_;
};

/// A release beyond the value that it was made with is an exception. (Of two such releases in the
/// same instant, while others wait, both may pass.) Python: multiprocessing.BoundedSemaphore.
class BoundedSemaphore : public Semaphore {
 public:
  /// As Semaphore's.
  explicit BoundedSemaphore(std::int64_t value = 1)
      : BoundedSemaphore(SemaphoreOptions{.value = value}) {}
  explicit BoundedSemaphore(SemaphoreOptions options)
      : Semaphore(kBounded, options, checked(kBounded, options.value)) {}

  /// For the wire.
  template <class Decoder>
  static BoundedSemaphore decode_from(Decoder& decoder) {
    return BoundedSemaphore(Semaphore::decode_from(decoder));
  }

 private:
  explicit BoundedSemaphore(Semaphore const& semaphore) : Semaphore(semaphore) {}
};

}  // namespace multiprocessing
