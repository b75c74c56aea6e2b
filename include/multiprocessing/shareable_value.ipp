// SPDX-License-Identifier: BSL-1.0
// The bodies of shareable_value.hpp.
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
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/shareable_value.hpp>

namespace multiprocessing {
namespace shareable_value_detail {

MULTIPROCESSING_INLINE Kind kind_of(ShareableValue const& value) noexcept {
  return static_cast<Kind>(value.index());
}

MULTIPROCESSING_INLINE std::span<std::byte const> bytes_of(ShareableValue const& value) noexcept {
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

MULTIPROCESSING_INLINE ShareableValue value_of(Kind kind, std::span<std::byte const> bytes) {
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

MULTIPROCESSING_INLINE void print(std::ostream& out, ShareableValue const& value) {
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
