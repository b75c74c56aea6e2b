// SPDX-License-Identifier: BSL-1.0
// Which types are their own bytes in any process.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <multiprocessing/wire/aggregate.hpp>

namespace multiprocessing::wire {

namespace bitwise_detail {

template <class T>
using BytesOf = std::array<unsigned char, sizeof(T)>;

// Bytes become a T in a constant expression exactly when T has no pointer, reference or union
// inside, at any depth.
template <class T, auto = (static_cast<void>(std::bit_cast<T>(BytesOf<T>{})), true)>
consteval bool made_of_bytes(int) {
  return true;
}
template <class T>
consteval bool made_of_bytes(long) {
  return false;
}

template <class T>
struct is_bitwise;

// Where bytes don't tell, a plain struct tells what it is made of. Members are told apart by what
// may stand in their place; a class there has to be bitwise as a whole, so one of its size is asked
// for: not for what its own first member might be.
struct PlainScalar {
  template <class U>
  requires(std::is_arithmetic_v<U> || std::is_enum_v<U>) operator U() const {
    __builtin_unreachable();
  }
};
template <std::size_t size>
struct PlainClass {
  template <class U>
  requires(std::is_class_v<U> && sizeof(U) == size && is_bitwise<U>::value) operator U() const {
    __builtin_unreachable();
  }
};
template <class T, std::size_t i>
consteval bool is_plain_at() {
  using namespace aggregate_detail;
  if constexpr (kTakesAt<T, LargeClass<1>, i>) {
    return kTakesAt<T, PlainClass<size_of_class_at<T, i, 1, sizeof(T)>()>, i>;
  } else {
    return kTakesAt<T, PlainScalar, i> && !kTakesAt<T, AnyUnion, i>;
  }
}
template <class T, std::size_t... i>
consteval bool all_are_plain(std::index_sequence<i...>) {
  return (is_plain_at<T, i>() && ...);
}
template <class T>
consteval bool is_plain_struct() {
  using namespace aggregate_detail;
  if constexpr (!std::is_class_v<T> || !std::is_aggregate_v<T> || std::is_empty_v<T>) {
    return false;
  } else {
    return !kTakesAt<T, BaseOf<T>, 0> && kValues<T> != kTooMany;
  }
}
template <class T>
consteval bool has_plain_members() {
  if constexpr (is_plain_struct<T>()) {
    return all_are_plain<T>(std::make_index_sequence<aggregate_detail::kValues<T>>{});
  } else {
    return false;
  }
}
#if defined(__GNUC__) && !defined(__clang__)
// GCC overlooks pointers in arrays there. They can still be told: a null pointer may be part of a
// template argument, a pointer to nowhere not. This works for lambdas, and for classes of which all
// members are public, up to kLargest; in an array of any other class a pointer stays unseen.
inline constexpr bool kOverlooksArrays = true;
template <auto>
struct Argument {};
template <class T, unsigned char byte>
consteval BytesOf<T> all_bytes() {
  BytesOf<T> bytes{};
  bytes.fill(byte);
  return bytes;
}
template <class T, unsigned char byte, class = Argument<std::bit_cast<T>(all_bytes<T, byte>())>>
consteval bool is_argument(int) {
  return true;
}
template <class T, unsigned char byte>
consteval bool is_argument(long) {
  return false;
}
template <class T>
consteval bool hides_pointers() {
  constexpr std::size_t kLargest = 1024;  // of an argument, which the compiler spells out
  if constexpr (std::is_class_v<T> && sizeof(T) >= sizeof(void*) && sizeof(T) <= kLargest) {
    // Of a long double these bytes are none either.
    return is_argument<T, 0>(0) && !is_argument<T, 1>(0) && !has_plain_members<T>();
  } else {
    return false;
  }
}
#else
inline constexpr bool kOverlooksArrays = false;
template <class T>
consteval bool hides_pointers() {
  return false;
}
#endif

template <class T>
consteval bool is_free_of_pointers() {
  if constexpr (made_of_bytes<T>(0)) {
    if constexpr (kOverlooksArrays && is_plain_struct<T>()) {
      return has_plain_members<T>();
    } else {
      return !hides_pointers<T>();
    }
  } else {
    return has_plain_members<T>();
  }
}

template <class T>
struct is_bitwise : std::bool_constant<is_free_of_pointers<T>()> {};
// Elements decide; evaluating the bytes of a large array would only cost time.
template <class T, std::size_t n>
struct is_bitwise<std::array<T, n>> : is_bitwise<T> {};

}  // namespace bitwise_detail

/// A copy of the bytes is a copy of the value, in every process of the same build: trivially
/// copyable, and no pointers or references inside. Refused is also what may hide one: a union, and
/// a class that can not be made at compile time (none of its constructors is constexpr).
template <class T>
concept Bitwise = std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T> &&
                  std::is_object_v<T> && !std::is_pointer_v<T> &&
                  !std::is_null_pointer_v<T> &&
                  (std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                   (std::is_class_v<T> && bitwise_detail::is_bitwise<std::remove_cv_t<T>>::value));

}  // namespace multiprocessing::wire
