// SPDX-License-Identifier: BSL-1.0
// A small value of one of a few types, and the bytes that it is in a ShareableList.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <span>
#include <string>
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

Kind kind_of(ShareableValue const& value) noexcept;

/// The value as it lies in a slot, as long as `value` is there.
std::span<std::byte const> bytes_of(ShareableValue const& value) noexcept;

template <class T>
T number_of(std::span<std::byte const> bytes) {
  T value{};
  if (bytes.size() != sizeof value) throw Error("ShareableList: a slot is damaged");
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Throws: Error when there is no value of that kind and length.
ShareableValue value_of(Kind kind, std::span<std::byte const> bytes);

/// As Python has it: 1, 2.5, True, 'text', b'bytes', None.
void print(std::ostream& out, ShareableValue const& value);

}  // namespace shareable_value_detail

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shareable_value.ipp>
#endif
