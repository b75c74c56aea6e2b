// SPDX-License-Identifier: BSL-1.0
// A value in shared memory that changes as a whole, whoever is killed while it changes.
#pragma once

#include <atomic>
#include <cstdint>

namespace multiprocessing::sync {

/// Whether one store writes all of a T. Some compilers call a library for what is not aligned to
/// its size by its type, however it is placed.
template <class T>
inline constexpr bool kIsOneStore = std::atomic_ref<T>::is_always_lock_free &&
                                    alignof(T) >= sizeof(T);

/// Lives inside a segment. All members REQUIRE a lock that the user holds, except get() where one
/// store writes a T.
template <class T>
class Journaled {
 public:
  explicit Journaled(T const& value) : value_(value), next_(value) {}

  /// The value, after the end of a change whose writer was killed in it.
  T& get() {
    if (is_pending_.load()) finish(next_);
    return value_;
  }

  /// All or nothing.
  void replace(T const& value) {
    next_ = value;
    is_pending_ = true;  // from here on the change has happened
    // Program order is enough: a death is observed, not another processor.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    finish(value);
  }

 private:
  void finish(T const& value) {
    value_ = value;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    is_pending_ = false;
  }

  alignas(std::atomic_ref<T>::required_alignment) T value_;
  T next_;
  std::atomic<bool> is_pending_{false};
};

template <class T>
requires kIsOneStore<T>
class Journaled<T> {
 public:
  explicit Journaled(T const& value) : value_(value) {}

  T& get() noexcept { return value_; }
  void replace(T const& value) noexcept { std::atomic_ref<T>(value_).store(value); }

 private:
  alignas(std::atomic_ref<T>::required_alignment) T value_;
};

}  // namespace multiprocessing::sync
