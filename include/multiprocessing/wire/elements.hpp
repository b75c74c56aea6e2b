// SPDX-License-Identifier: BSL-1.0
// Values that are their bytes, alone and many in one piece.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <valarray>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/cereal_types.hpp>
#include <multiprocessing/wire/decoder.hpp>
#include <multiprocessing/wire/encoder.hpp>
#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/representation.hpp>

namespace multiprocessing::wire::archive {

// Plain values. Enums cereal reduces to their numbers.
template <PlainMessage T>
void write_plain(Writer& writer, T const& value) {
  if constexpr (kEveryByteCounts<T>) {
    writer.write(std::addressof(value), sizeof value);
  } else {
    auto* const to = writer.claim(sizeof value);
    if (to != nullptr) write_representations(to, std::addressof(value), 1);
  }
}
template <class T>
void check_representations(std::byte const* bytes, std::size_t count) {
  if (!are_representations<T>(bytes, count)) {
    throw UnpicklingError("decoding meets bytes that are no " + base::type_name(typeid(T)));
  }
}
template <PlainMessage T>
T value_of(std::byte const* bytes) {
  alignas(T) std::byte storage[sizeof(T)];
  std::memcpy(storage, bytes, sizeof(T));
  return *std::launder(reinterpret_cast<T*>(storage));
}
template <PlainMessage T>
requires std::is_trivially_default_constructible_v<T> T value_of(std::byte const* bytes) {
  T value;  // in the caller's, so that it is copied once
  std::memcpy(static_cast<void*>(std::addressof(value)), bytes, sizeof(T));
  return value;
}
/// Needs no default constructor.
template <PlainMessage T>
T read_plain_value(Reader& reader) {
  auto const* const bytes = reader.take(sizeof(T));
  check_representations<T>(bytes, 1);
  return value_of<T>(bytes);
}
template <PlainBytes T>
requires(!std::is_enum_v<T>) void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, T const& value) {
  write_plain(encoder, value);
}
template <PlainMessage T>
void fill_plain(Reader& reader, T& value) {
  auto const* const bytes = reader.take(sizeof value);
  check_representations<T>(bytes, 1);
  read_representation(bytes, value);
}
template <PlainBytes T>
requires(!std::is_enum_v<T>) void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, T& value) {
  fill_plain(decoder, value);
}

// Contiguous ranges of plain elements: length, padding, bytes.
template <PlainElement T>
void write_elements(Writer& writer, T const* values, std::size_t count) {
  auto const length = static_cast<std::uint64_t>(count);
  auto const padding = -(writer.size() + sizeof length) & (alignof(T) - 1);
  // In one go: the compiler thinks that what is written may be the writer itself.
  if (auto* const to = writer.claim(sizeof length + padding); to != nullptr) {
    std::memcpy(to, &length, sizeof length);
    if constexpr (alignof(T) > 1) std::memset(to + sizeof length, 0, padding);
  }
  if constexpr (kEveryByteCounts<T>) {
    writer.write(values, count * sizeof(T));
  } else {
    auto* const to = writer.claim(count * sizeof(T));
    if (to != nullptr) write_representations(to, values, count);
  }
}
/// Their bytes, which may be no Ts.
template <PlainElement T>
[[gnu::always_inline]] inline std::span<std::byte const> read_elements(Reader& reader) {
  std::uint64_t length = 0;
  reader.read(&length, sizeof length);
  auto const* const bytes = reader.template take_aligned<T>(length);
  return {bytes, static_cast<std::size_t>(length) * sizeof(T)};
}

/// How many Ts are checked and copied at a time: nearly all of a first cache of 32 KiB.
template <class T>
inline constexpr std::size_t kPiece = std::max<std::size_t>(1, 30720 / sizeof(T));

/// The message itself may lie anywhere.
template <class T>
bool lies_aligned(std::byte const* bytes) noexcept {
  return reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0;
}

/// A std::vector or std::basic_string of plain elements.
template <class T>
concept PlainRange =
    picklable_detail::kIsVectorOrString<T> && PlainElement<typename T::value_type> &&
    !std::same_as<T, std::vector<bool, typename T::allocator_type>>;

/// Elements in pieces: what was checked is in a near cache still when it is copied.
template <PlainRange Range>
[[gnu::noinline]] void assign_pieces(Range& values, std::span<std::byte const> bytes) {
  using T = typename Range::value_type;
  constexpr auto kSize = kPiece<T> * sizeof(T);
  auto const free = [](std::byte* memory) {
    ::operator delete (memory, std::align_val_t{alignof(T)});
  };
  std::unique_ptr<std::byte, decltype(free)> room(nullptr, free);
  if (!lies_aligned<T>(bytes.data())) {
    auto const size = std::min(kSize, bytes.size());
    room.reset(static_cast<std::byte*>(::operator new (size, std::align_val_t{alignof(T)})));
  }
  values.clear();
  values.reserve(bytes.size() / sizeof(T));
  while (!bytes.empty()) {
    auto const piece = bytes.first(std::min(kSize, bytes.size()));
    check_representations<T>(piece.data(), piece.size() / sizeof(T));
    auto const* data = piece.data();
    if (room != nullptr) {
      std::memcpy(room.get(), data, piece.size());
      data = room.get();
    }
    auto const* const first = reinterpret_cast<T const*>(data);
    values.insert(values.end(), first, first + piece.size() / sizeof(T));
    bytes = bytes.subspan(piece.size());
  }
}
/// Aligned, and of no more than a piece if there is something to check; or nothing at all.
template <class T>
bool can_be_copied_at_once(std::span<std::byte const> bytes) noexcept {
  return bytes.empty() || (lies_aligned<T>(bytes.data()) &&
                           (kEveryByteCounts<T> || bytes.size() <= kPiece<T> * sizeof(T)));
}
template <PlainRange Range>
void assign_elements(Range& values, std::span<std::byte const> bytes) {
  using T = typename Range::value_type;
  auto const count = bytes.size() / sizeof(T);
  if (can_be_copied_at_once<T>(bytes)) {
    check_representations<T>(bytes.data(), count);
    auto const* const first = reinterpret_cast<T const*>(bytes.data());
    values.assign(first, first + count);
  } else {
    assign_pieces(values, bytes);
  }
}

template <PlainRange T>
void write_range(Writer& writer, T const& values) {
  write_elements(writer, values.data(), values.size());
}
template <PlainRange T>
void read_range(Reader& reader, T& values) {
  assign_elements(values, read_elements<typename T::value_type>(reader));
}
/// As a new one, which is faster than to assign to an empty one.
template <PlainRange T>
[[gnu::always_inline]] inline T read_range_value(Reader& reader) {
  using Element = typename T::value_type;
  auto const bytes = read_elements<Element>(reader);
  auto const count = bytes.size() / sizeof(Element);
  if (can_be_copied_at_once<Element>(bytes)) {
    check_representations<Element>(bytes.data(), count);
    auto const* const first = reinterpret_cast<Element const*>(bytes.data());
    return T(first, first + count);
  } else {
    T values;
    assign_pieces(values, bytes);
    return values;
  }
}
template <class T, class Allocator>
requires PlainRange<std::vector<T, Allocator>>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, std::vector<T, Allocator> const& values) {
  write_range(encoder, values);
}
template <class T, class Allocator>
requires PlainRange<std::vector<T, Allocator>>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::vector<T, Allocator>& values) {
  read_range(decoder, values);
}
template <class Char, class Traits, class Allocator>
requires PlainRange<std::basic_string<Char, Traits, Allocator>>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder,
                               std::basic_string<Char, Traits, Allocator> const& text) {
  write_range(encoder, text);
}
template <class Char, class Traits, class Allocator>
requires PlainRange<std::basic_string<Char, Traits, Allocator>>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::basic_string<Char, Traits, Allocator>& text) {
  read_range(decoder, text);
}
template <PlainElement T>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, std::valarray<T> const& values) {
  write_elements(encoder, values.size() == 0 ? nullptr : &values[0], values.size());
}
template <PlainElement T>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::valarray<T>& values) {
  auto const bytes = read_elements<T>(decoder);
  auto const count = bytes.size() / sizeof(T);
  check_representations<T>(bytes.data(), count);
  if (lies_aligned<T>(bytes.data())) {
    values = std::valarray<T>(reinterpret_cast<T const*>(bytes.data()), count);
  } else if (values.resize(count); count != 0) {
    std::memcpy(static_cast<void*>(&values[0]), bytes.data(), bytes.size());
  }
}

template <PlainElement T, std::size_t n>
void CEREAL_SAVE_FUNCTION_NAME(Encoder& encoder, std::array<T, n> const& values) {
  auto* const to = encoder.claim(n * sizeof(T));
  if (to != nullptr) write_representations(to, values.data(), n);
}
template <PlainElement T, std::size_t n>
void CEREAL_LOAD_FUNCTION_NAME(Decoder& decoder, std::array<T, n>& values) {
  auto const* const bytes = decoder.take(n * sizeof(T));
  for (std::size_t at = 0; at < n; at += kPiece<T>) {
    auto const count = std::min(kPiece<T>, n - at);
    check_representations<T>(bytes + at * sizeof(T), count);
    std::memcpy(static_cast<void*>(values.data() + at), bytes + at * sizeof(T), count * sizeof(T));
  }
}

}  // namespace multiprocessing::wire::archive
