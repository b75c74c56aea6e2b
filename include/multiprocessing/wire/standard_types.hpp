// SPDX-License-Identifier: BSL-1.0
// Types of the standard library that cereal reads with more trust than bytes of others deserve, or
// slower than need be, or does not know.
#pragma once

#include <bitset>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/decoder.hpp>
#include <multiprocessing/wire/elements.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing::wire {

template <Picklable T>
T decode_next(Decoder& decoder);

namespace archive {

/// A T, or what is to replace `value`. REQUIRES: NeedsNoArchive<T>. Throws: std::bad_alloc,
/// UnpicklingError.
template <class T>
T read_alone(Reader& reader);
template <class T>
void fill_alone(Reader& reader, T& value);

/// `In`, here and below: a Decoder; or a Reader, where elements need no archive.
template <class T, class In>
T read_next(In& in) {
  if constexpr (std::same_as<In, Reader>) {
    return read_alone<T>(in);
  } else {
    return decode_next<T>(in);
  }
}

// Other sequences grow as their elements arrive: a length alone takes no memory.
template <class In, class Sequence>
void read_sequence(In& in, Sequence& values) {
  using T = typename Sequence::value_type;
  auto length = in.read_length();
  values.clear();
  if constexpr (requires { values.capacity(); }) {
    values.reserve(in.reservable(length, sizeof(T)));
  }
  for (; length != 0; --length) {
    auto const remained = in.remaining();
    if constexpr (std::same_as<In, Reader>) {
      fill_alone(in, values.emplace_back());
    } else if constexpr (MadeWhole<T>) {
      values.push_back(decode_next<T>(in));
    } else {
      in(values.emplace_back());
    }
    in.count_element(remained);
  }
}
template <class T, class Allocator>
requires(!PlainRange<std::vector<T, Allocator>> &&
         !std::same_as<T, bool>) void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                                                                std::vector<T, Allocator>& values) {
  read_sequence(decoder, values);
}
template <class T, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::deque<T, Allocator>& values) {
  read_sequence(decoder, values);
}
template <class T, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::list<T, Allocator>& values) {
  read_sequence(decoder, values);
}
template <class T, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::forward_list<T, Allocator>& values) {
  auto length = decoder.read_length();
  values.clear();
  for (auto last = values.before_begin(); length != 0; --length) {
    auto const remained = decoder.remaining();
    last = values.insert_after(last, decode_next<T>(decoder));
    decoder.count_element(remained);
  }
}
template <class T>
requires(!PlainElement<T>) void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                                                          std::valarray<T>& values) {
  std::vector<T> elements;
  read_sequence(decoder, elements);
  values.resize(elements.size());
  std::move(elements.begin(), elements.end(), std::begin(values));
}
template <class In, class Set>
void read_set(In& in, Set& values) {
  auto length = in.read_length();
  values.clear();
  for (; length != 0; --length) {
    auto const remained = in.remaining();
    auto value = read_next<typename Set::value_type>(in);
    in.count_element(remained);
    values.insert(values.end(), std::move(value));  // the right place, if they are ordered
  }
}
template <class T, class Compare, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::set<T, Compare, Allocator>& values) {
  read_set(decoder, values);
}
template <class T, class Compare, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::multiset<T, Compare, Allocator>& values) {
  read_set(decoder, values);
}
template <class T, class Hash, class Equal, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               std::unordered_set<T, Hash, Equal, Allocator>& values) {
  read_set(decoder, values);
}
template <class T, class Hash, class Equal, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               std::unordered_multiset<T, Hash, Equal, Allocator>& values) {
  read_set(decoder, values);
}

// What may hold one thing or another, where cereal would make the thing first and fill it then.
template <MadeWhole T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::optional<T>& value) {
  bool is_empty = true;
  decoder(is_empty);
  value.reset();
  if (!is_empty) value.emplace(decode_next<T>(decoder));
}
template <class... Types>
requires(MadeWhole<Types> || ...) void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                                                                 std::variant<Types...>& value) {
  std::int32_t index = -1;
  decoder(index);
  bool const is_known = [&]<std::size_t... i>(std::index_sequence<i...>) {
    return ((std::cmp_equal(i, index) &&
             (value.template emplace<i>(decode_next<Types>(decoder)), true)) ||
            ...);
  }
  (std::index_sequence_for<Types...>{});
  if (!is_known) throw UnpicklingError("decoding meets a variant of no known type");
}

// Bits, eight a byte, the unused ones zero.
template <std::size_t n>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, std::bitset<n> const& bits) {
  for (std::size_t first = 0; first < n; first += 8) {
    std::uint8_t byte = 0;
    for (std::size_t i = 0; i < 8 && first + i < n; ++i) {
      if (bits[first + i]) byte = static_cast<std::uint8_t>(byte | (1U << i));
    }
    encoder.write(&byte, 1);
  }
}
template <std::size_t n>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::bitset<n>& bits) {
  for (std::size_t first = 0; first < n; first += 8) {
    auto const byte = std::to_integer<unsigned>(*decoder.take(1));
    for (std::size_t i = 0; i < 8 && first + i < n; ++i) bits[first + i] = (byte >> i & 1U) != 0;
    if (n - first < 8 && byte >> (n - first) != 0) {
      throw UnpicklingError("decoding: bits that are always zero are not");
    }
  }
}

template <class In, class Map>
void read_map(In& in, Map& map) {
  auto length = in.read_length();
  map.clear();
  for (; length != 0; --length) {
    auto const remained = in.remaining();
    auto key = read_next<typename Map::key_type>(in);
    auto value = read_next<typename Map::mapped_type>(in);
    in.count_element(remained);
    map.emplace_hint(map.end(), std::move(key), std::move(value));
  }
}
template <class Key, class Value, class Compare, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::map<Key, Value, Compare, Allocator>& map) {
  read_map(decoder, map);
}
template <class Key, class Value, class Compare, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               std::multimap<Key, Value, Compare, Allocator>& map) {
  read_map(decoder, map);
}

template <class Key, class Value, class Hash, class Equal, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               std::unordered_map<Key, Value, Hash, Equal, Allocator>& map) {
  read_map(decoder, map);
}
template <class Key, class Value, class Hash, class Equal, class Allocator>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder,
                               std::unordered_multimap<Key, Value, Hash, Equal, Allocator>& map) {
  read_map(decoder, map);
}

template <FilePath Path>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, Path const& path) {
  encoder(path.native());
}
template <FilePath Path>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, Path& path) {
  typename Path::string_type text;
  decoder(text);
  path = std::move(text);
}

}  // namespace archive

}  // namespace multiprocessing::wire
