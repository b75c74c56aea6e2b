// SPDX-License-Identifier: BSL-1.0
// A small value of one of a few types, and the bytes that it is in a ShareableList.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/pickle.hpp>

namespace multiprocessing {

/// What Python calls None: nothing.
using NoneType = std::monostate;
inline constexpr NoneType none{};

/// What a slot of a ShareableList may have. Made of an int, a double, a bool, a text, Bytes, none.
using ShareableValue = std::variant<NoneType, bool, std::int64_t, double, std::string, Bytes>;

namespace shareable_value_detail {

/// In the order of ShareableValue's alternatives.
enum class Kind : std::uint8_t { None, Bool, Int, Float, Text, Bytes };

inline Kind kind_of(ShareableValue const& value) noexcept {
  return static_cast<Kind>(value.index());
}

/// The value as it lies in a slot, as long as `value` is there.
inline std::span<std::byte const> bytes_of(ShareableValue const& value) noexcept {
  return std::visit(
      []<class T>(T const& held) -> std::span<std::byte const> {
        if constexpr (std::is_same_v<T, NoneType>) {
          return {};
        } else if constexpr (std::is_arithmetic_v<T>) {
          return std::as_bytes(std::span(&held, 1));
        } else {
          return std::as_bytes(std::span(held));
        }
      },
      value);
}

template <class T>
T number_of(std::span<std::byte const> bytes) {
  T value{};
  if (bytes.size() != sizeof value) throw Error("ShareableList: a slot is damaged");
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Throws: Error when there is no value of that kind and length.
inline ShareableValue value_of(Kind kind, std::span<std::byte const> bytes) {
  switch (kind) {
    case Kind::None:
      return none;
    case Kind::Bool:
      return number_of<std::uint8_t>(bytes) != 0;
    case Kind::Int:
      return number_of<std::int64_t>(bytes);
    case Kind::Float:
      return number_of<double>(bytes);
    case Kind::Text:
      return std::string(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    case Kind::Bytes:
      return Bytes(bytes.begin(), bytes.end());
  }
  throw Error("ShareableList: a slot is damaged");
}

/// As Python has it: 1, 2.5, True, 'text', b'bytes', None.
inline void print(std::ostream& out, ShareableValue const& value) {
  std::visit(
      [&]<class T>(T const& held) {
        if constexpr (std::is_same_v<T, NoneType>) {
          out << "None";
        } else if constexpr (std::is_same_v<T, Bytes>) {
          std::string_view const text(reinterpret_cast<char const*>(held.data()), held.size());
          out << 'b' << base::quote(text, base::Characters::Bytes);
        } else {
          base::print_repr(out, held);
        }
      },
      value);
}

}  // namespace shareable_value_detail

}  // namespace multiprocessing
