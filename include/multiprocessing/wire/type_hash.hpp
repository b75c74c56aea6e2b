// SPDX-License-Identifier: BSL-1.0
// A number for a type, by its name and what it is made of: so that one who asks for another type
// than was sent, or for the same struct with other members, is told so.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include <multiprocessing/wire/aggregate.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing::wire {

namespace type_hash_detail {

inline constexpr std::uint64_t kBasis = 0xcbf29ce484222325U;  // FNV-1a

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  for (int i = 0; i < 8; ++i, value >>= 8) hash = (hash ^ (value & 0xff)) * 0x100000001b3U;
  return hash;
}
constexpr std::uint64_t hash_of_text(std::string_view text) {
  std::uint64_t hash = kBasis;
  for (char const c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

template <class T>
consteval std::uint64_t hash_of_name() {
  return hash_of_text(__PRETTY_FUNCTION__);
}

template <class T, class... Above>
consteval std::uint64_t hash();

template <class... Types, class... Above>
consteval std::uint64_t hash_all(TypeList<Types...>, TypeList<Above...>) {
  std::uint64_t sum = kBasis;
  ((sum = mix(sum, hash<Types, Above...>())), ...);
  return sum;
}

template <class T, class... Above>
consteval std::uint64_t hash() {
  std::uint64_t sum = hash_of_name<T>();
  if constexpr (!(std::same_as<T, Above> || ...)) {  // otherwise it is on its way
    if constexpr (picklable_detail::Parts<T>::kKnown) {
      using Types = typename picklable_detail::Parts<T>::Types;
      sum = mix(sum, hash_all(Types{}, TypeList<T, Above...>{}));
    } else if constexpr (picklable_detail::Pointee<T>::kKnown) {
      using Object = typename picklable_detail::Pointee<T>::Type;
      sum = mix(sum, hash<Object, T, Above...>());
    } else if constexpr (PlainAggregate<T>) {
      sum = mix(sum, hash_all(FieldTypes<T>{}, TypeList<T, Above...>{}));
    } else if constexpr (PlainBytes<T>) {
      sum = mix(sum, sizeof(T));
    }
  }
  return sum;
}

}  // namespace type_hash_detail

template <class T>
inline constexpr std::uint64_t kTypeHash = type_hash_detail::hash<T>();

}  // namespace multiprocessing::wire
