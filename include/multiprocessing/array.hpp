// SPDX-License-Identifier: BSL-1.0
// An array in memory that processes and threads share.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <mutex>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// A handle of a fixed number of T's without a lock; a copy is the same array, also in a process
/// that is started with it, or receives it. A contiguous range. Its length may be zero.
/// Threads, processes: distinct elements safe; the same by external synchronization, or atomic().
/// Python: multiprocessing.RawArray.
template <class T>
class RawArray {
  static_assert((value_detail::require_shared_state<T>(), true));

 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using iterator = T*;
  /// For Pool::map(), in place.
  using SharedElements = RawArray;  // for Pool::map, in place

  /// `size` elements, all bytes zero, and memory for them all.
  /// Throws: std::invalid_argument when `size` is negative, std::bad_alloc when the machine has not
  /// that much, std::system_error.
  template <std::integral Size>
  explicit RawArray(Size size) : RawArray(Zeroed{checked(size)}) {}

  /// These elements. Throws: as above.
  RawArray(std::initializer_list<T> elements) : RawArray(Zeroed{elements.size()}) {
    std::ranges::copy(elements, begin());
  }

  /// A copy of the elements of `range`.
  template <std::ranges::forward_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T> &&(
      !std::derived_from<std::remove_cvref_t<Range>, RawArray>)explicit RawArray(Range const& range)
      : RawArray(Zeroed{static_cast<std::size_t>(std::ranges::distance(range))}) {
    std::ranges::copy(range, begin());
  }

  std::size_t size() const noexcept { return header_->size; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  T* data() const noexcept { return reinterpret_cast<T*>(&*header_ + 1); }
  T* begin() const noexcept { return data(); }
  T* end() const noexcept { return data() + size(); }

  /// REQUIRES: index < size().
  T& operator[](std::size_t index) const noexcept { return data()[index]; }
  /// Throws: std::out_of_range.
  T& at(std::size_t index) const {
    if (index < size()) return data()[index];
    throw std::out_of_range("Array.at: the index " + std::to_string(index) +
                            " is not below the size " + std::to_string(size()));
  }
  /// Access to one element by atomic operations alone. REQUIRES: index < size().
  [[nodiscard]] std::atomic_ref<T> atomic(std::size_t index) const noexcept {
    value_detail::require_atomic<T>();
    return std::atomic_ref<T>(data()[index]);
  }

  /// Whether both are the same array.
  friend bool operator==(RawArray const& a, RawArray const& b) noexcept {
    return a.header_ == b.header_;
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    save_as(encoder, "a RawArray");
  }
  template <class Decoder>
  static RawArray decode_from(Decoder& decoder) {
    RawArray const array(wire::read_handle<Header>(decoder));
    auto const room = array.header_.lease()->size() - array.header_.offset() - sizeof(Header);
    if (array.size() > room / sizeof(T)) {
      throw UnpicklingError("decoding meets an array that is larger than its block");
    }
    return array;
  }

 protected:
  template <class Encoder>
  void save_as(Encoder& encoder, char const* what) const {
    wire::save_handle(encoder, header_, what);
  }

 private:
  struct alignas(base::kCacheLine) Header {
    explicit Header(std::size_t elements) noexcept : size(elements) {}
    std::size_t size;
  };
  static_assert(alignof(T) <= sizeof(Header), "elements follow the header");

  struct Zeroed {
    std::size_t size;
  };
  explicit RawArray(Zeroed zeroed)
      : header_(shm::Shared<Header>::make(bytes(zeroed), zeroed.size)) {}

  template <std::integral Size>
  static std::size_t checked(Size size) {
    if constexpr (std::is_signed_v<Size>) {
      if (size < 0) {
        throw std::invalid_argument("Array: the size " + std::to_string(size) + " is negative");
      }
    }
    return static_cast<std::size_t>(size);
  }
  explicit RawArray(shm::Shared<Header> const& header) : header_(header) {}

  static std::size_t bytes(Zeroed zeroed) {
    if (zeroed.size > PTRDIFF_MAX / sizeof(T)) throw std::bad_array_new_length();
    return zeroed.size * sizeof(T);
  }

  shm::Shared<Header> header_;
};

/// Python: the keyword arguments of multiprocessing.Array.
struct ArrayOptions {
  /// A lock that others may use, too; nullopt: an RLock of its own.
  std::optional<AnyLock> lock = {};
};

/// A RawArray with a lock. The elements themselves are reached without it: hold it for what must
/// not be seen half done, `std::scoped_lock guard(array.get_lock())` or `auto all = array.lock()`.
/// Threads, processes: distinct elements safe; the same under the lock, or by atomic().
/// Peer death: what was written stays; the next holder of the lock can see recovered().
/// Python: multiprocessing.Array. Differs: typed; an element is read and written without the lock.
template <class T>
class Array : public RawArray<T> {
 public:
  class Guard;

  /// As RawArray.
  template <std::integral Size>
  explicit Array(Size size) : Array(ArrayOptions{}, size) {}
  Array(std::initializer_list<T> elements) : Array(ArrayOptions{}, elements) {}
  template <std::ranges::forward_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T> &&(
      !std::derived_from<std::remove_cvref_t<Range>, RawArray<T>>)explicit Array(Range const& range)
      : Array(ArrayOptions{}, range) {}

  /// The same, with options.
  template <std::integral Size>
  Array(ArrayOptions options, Size size) : RawArray<T>(size), lock_(chosen(options)) {}
  Array(ArrayOptions options, std::initializer_list<T> elements)
      : RawArray<T>(elements), lock_(chosen(options)) {}
  template <std::ranges::forward_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T> Array(ArrayOptions options,
                                                                               Range const& range)
      : RawArray<T>(range), lock_(chosen(options)) {}

  /// Access to all. Blocks: for the lock.
  [[nodiscard]] Guard lock() const;

  /// The lock that guards it. Python: Array.get_lock
  AnyLock const& get_lock() const noexcept { return lock_; }

  /// For the wire.
  template <class Encoder>
  void save(Encoder& encoder) const {
    this->save_as(encoder, "an Array");
    lock_.save(encoder);
  }
  template <class Decoder>
  static Array decode_from(Decoder& decoder) {
    auto const elements = RawArray<T>::decode_from(decoder);
    return Array(elements, AnyLock::decode_from(decoder));
  }

 private:
  Array(RawArray<T> const& elements, AnyLock const& lock) : RawArray<T>(elements), lock_(lock) {}

  static AnyLock chosen(ArrayOptions const& options) {
    return options.lock ? *options.lock : RLock();
  }

  AnyLock lock_;
};

/// The lock is held as long as it lives.
template <class T>
class Array<T>::Guard {
 public:
  Guard(Guard const&) = delete;
  Guard& operator=(Guard const&) = delete;

  std::span<T> operator*() const noexcept { return whole_; }
  /// REQUIRES: below size().
  T& operator[](std::size_t index) const noexcept { return whole_[index]; }
  T* begin() const noexcept { return whole_.begin(); }
  T* end() const noexcept { return whole_.end(); }
  std::size_t size() const noexcept { return whole_.size(); }
  /// Whether the last holder of the lock died with it.
  [[nodiscard]] bool recovered() const noexcept { return held_.mutex()->recovered(); }

 private:
  friend class Array;
  explicit Guard(Array const& whole) : whole_(whole), held_(whole_.lock_) {}

  Array const whole_;  // outlives what the user does to the handle
  std::unique_lock<AnyLock const> held_;
};

template <class T>
typename Array<T>::Guard Array<T>::lock() const {
  return Guard(*this);
}

}  // namespace multiprocessing
