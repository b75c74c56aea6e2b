// SPDX-License-Identifier: BSL-1.0
// A value in memory that processes and threads share.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <multiprocessing/lock.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/journaled.hpp>
#include <multiprocessing/wire/bitwise.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// What may live in shared memory: arithmetic types, enumerations, and trivially copyable classes
/// of these, at any depth, that hold no pointers or references.
template <class T>
concept SharedState = wire::Bitwise<T> && std::same_as<T, std::remove_cv_t<T>>;

namespace value_detail {
/// The one sentence for types that can not be shared.
template <class T>
constexpr void require_shared_state() {
  static_assert(SharedState<T>,
                "multiprocessing: a value of this type can not live in shared memory, because it "
                "is not trivially copyable, or holds a pointer or a reference, which means nothing "
                "in another process; use arithmetic types, enumerations, std::array and plain "
                "structs of these, and indices instead of pointers");
}
template <class T>
constexpr void require_atomic() {
  static_assert(sync::kIsOneStore<T>,
                "multiprocessing: values of this type are too large to change in one atomic step, "
                "or not aligned to their size (alignas); use update(), or lock()");
}
}  // namespace value_detail

/// Python: the keyword arguments of multiprocessing.Value.
struct ValueOptions {
  /// A lock that others may use, too; nullopt: an RLock of its own.
  std::optional<AnyLock> lock = {};
};

/// A handle; a copy is the same value, also in a process that is started with it, or receives it.
/// Threads, processes: all members safe; those that return a T or take one hold the lock.
/// Peer death: assignment and update() happen as a whole or not at all. Who is killed while it
/// holds a Guard leaves what it has written; the next holder of the lock can see recovered().
/// Python: multiprocessing.Value. Differs: typed; update(), atomic(); assigning to a handle from
/// another handle makes it the same value.
template <class T>
class Value {
  static_assert((value_detail::require_shared_state<T>(), true));

 public:
  class Guard;

  /// T{}. Throws, here and below: std::bad_alloc, std::system_error.
  explicit Value() : Value(T{}) {}
  explicit Value(T const& value) : Value(ValueOptions{}, value) {}
  explicit Value(ValueOptions options, T const& value = T{})
      : value_(shm::Shared<State>::make(0, value)),
        lock_(options.lock ? *options.lock : AnyLock(value_.part(&State::mutex))) {}

  /// Access in place. Blocks: for the lock.
  [[nodiscard]] Guard lock() const;

  /// A copy. Blocks: for the lock.
  [[nodiscard]] T value() const {
    std::lock_guard const held(lock_);
    return value_->value.get();
  }

  /// Blocks: for the lock.
  Value const& operator=(T const& value) const {
    std::lock_guard const held(lock_);
    value_->value.get();  // what a killed writer began ends first
    value_->value.replace(value);
    return *this;
  }

  /// Calls `f(T&)` on a copy, which then becomes the value; not when f throws. Returns what f does.
  /// REQUIRES: f does not change this value otherwise.
  /// Blocks: for the lock, which is held while f runs.
  template <std::invocable<T&> F>
  decltype(auto) update(F&& f) const {
    static_assert(!std::is_reference_v<std::invoke_result_t<F, T&>>,
                  "multiprocessing: the function returns a reference to a copy that is gone");
    std::lock_guard const held(lock_);
    T copy = value_->value.get();
    if constexpr (std::is_void_v<std::invoke_result_t<F, T&>>) {
      std::invoke(std::forward<F>(f), copy);
      value_->value.replace(copy);
    } else {
      auto result = std::invoke(std::forward<F>(f), copy);
      value_->value.replace(copy);
      return result;
    }
  }

  /// Access without the lock, by atomic operations alone: use it everywhere or nowhere.
  [[nodiscard]] std::atomic_ref<T> atomic() const noexcept {
    value_detail::require_atomic<T>();
    return std::atomic_ref<T>(value_->value.get());
  }

  /// The lock that guards it. Python: Value.get_lock
  AnyLock const& get_lock() const noexcept { return lock_; }

  /// Whether both are the same value.
  friend bool operator==(Value const& a, Value const& b) noexcept { return a.value_ == b.value_; }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, value_, "a Value");
    lock_.save(encoder);
  }
  template <class Decoder>
  static Value decode_from(Decoder& decoder) {
    auto const value = wire::read_handle<State>(decoder);
    return Value(value, AnyLock::decode_from(decoder));
  }

 private:
  struct State {
    explicit State(T const& initial) : mutex(sync::Mutex::Kind::Recursive), value(initial) {}

    bool let_go() { return mutex.let_go(); }

    sync::Mutex mutex;  ///< not used where another lock was given
    sync::Journaled<T> value;
  };

  Value(shm::Shared<State> const& value, AnyLock const& lock) : value_(value), lock_(lock) {}

  shm::Shared<State> value_;
  AnyLock lock_;
};

/// The lock is held as long as it lives.
template <class T>
class Value<T>::Guard {
 public:
  Guard(Guard const&) = delete;
  Guard& operator=(Guard const&) = delete;

  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_; }
  /// Whether the last holder of the lock died with it.
  [[nodiscard]] bool recovered() const noexcept { return held_.mutex()->recovered(); }

 private:
  friend class Value;
  explicit Guard(Value const& whole)
      : whole_(whole), held_(whole_.lock_), value_(&whole_.value_->value.get()) {}

  Value const whole_;  // outlives what the user does to the handle
  std::unique_lock<AnyLock const> held_;
  T* value_;
};

template <class T>
typename Value<T>::Guard Value<T>::lock() const {
  return Guard(*this);
}

/// A Value without a lock: the user sees to it that nobody reads what another writes.
/// Threads, processes: external synchronization, or atomic().
/// Python: multiprocessing.RawValue.
template <class T>
class RawValue {
  static_assert((value_detail::require_shared_state<T>(), true));

 public:
  /// T{}. Throws: std::bad_alloc, std::system_error.
  explicit RawValue() : RawValue(T{}) {}
  explicit RawValue(T const& value) : value_(shm::Shared<State>::make(0, value)) {}

  /// What is there now, and what is there from now on.
  [[nodiscard]] T value() const noexcept { return value_->value; }
  RawValue const& operator=(T const& value) const noexcept {
    value_->value = value;
    return *this;
  }
  T& operator*() const noexcept { return value_->value; }
  T* operator->() const noexcept { return &value_->value; }

  /// Access by atomic operations alone: everywhere or nowhere.
  [[nodiscard]] std::atomic_ref<T> atomic() const noexcept {
    value_detail::require_atomic<T>();
    return std::atomic_ref<T>(value_->value);
  }

  /// Whether both are the same value.
  friend bool operator==(RawValue const& a, RawValue const& b) noexcept {
    return a.value_ == b.value_;
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, value_, "a RawValue");
  }
  template <class Decoder>
  static RawValue decode_from(Decoder& decoder) {
    return RawValue(wire::read_handle<State>(decoder));
  }

 private:
  struct State {
    explicit State(T const& initial) : value(initial) {}
    alignas(std::atomic_ref<T>::required_alignment) T value;
  };

  explicit RawValue(shm::Shared<State> const& value) : value_(value) {}

  shm::Shared<State> value_;
};

}  // namespace multiprocessing
