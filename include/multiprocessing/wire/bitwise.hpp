// SPDX-License-Identifier: BSL-1.0
// Which types are their own bytes in any process.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <type_traits>

namespace multiprocessing::wire {

namespace bitwise_detail {

// Bytes become a T in a constant expression exactly when T has no pointer, reference or union
// inside, at any depth.
template <class T,
          auto = (static_cast<void>(std::bit_cast<T>(std::array<unsigned char, sizeof(T)>{})),
                  true)>
consteval bool made_of_bytes(int) {
  return true;
}
template <class T>
consteval bool made_of_bytes(long) {
  return false;
}

template <class T>
struct is_bitwise : std::bool_constant<made_of_bytes<T>(0)> {};
// Elements decide; evaluating the bytes of a large array would only cost time.
template <class T, std::size_t n>
struct is_bitwise<std::array<T, n>> : is_bitwise<T> {};

}  // namespace bitwise_detail

/// A copy of the bytes is a copy of the value, in every process of the same build: trivially
/// copyable, and no pointers or references inside. (A union may hide one, so it is refused.)
template <class T>
concept Bitwise = std::is_trivially_copyable_v<T> && std::is_object_v<T> && !std::is_pointer_v<T> &&
                  !std::is_null_pointer_v<T> &&
                  (std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                   (std::is_class_v<T> && bitwise_detail::is_bitwise<std::remove_cv_t<T>>::value));

}  // namespace multiprocessing::wire
