// SPDX-License-Identifier: BSL-1.0
// Values as Python's repr() has them.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace multiprocessing::base {

enum class Characters {
  Text,
  Bytes,  ///< what is no ASCII is written by its number, too
};

/// Control characters as "\n", "\t", "\r" or "\x07".
inline std::string escape(std::string_view text, Characters what = Characters::Text) {
  std::string escaped;
  for (char const c : text) {
    auto const code = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t' || c == '\r') {
      escaped += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else if (code < ' ' || code == 0x7F || (code > 0x7F && what == Characters::Bytes)) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      escaped.append("\\x").append({kDigits[code >> 4], kDigits[code & 0xF]});
    } else {
      escaped += c;
    }
  }
  return escaped;
}

/// 'it\'s'
inline std::string quote(std::string_view text, Characters what = Characters::Text) {
  std::string quoted = "'";
  for (char const& c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += escape({&c, 1}, what);
  }
  return quoted + "'";
}

/// Numbers by the fewest digits that are read as the same one, whatever the stream is set to; what
/// is no number, bool or text, as the stream does.
template <class T>
void print_repr(std::ostream& out, T const& value) {
  if constexpr (std::same_as<T, bool>) {
    out << (value ? "True" : "False");
  } else if constexpr (std::is_arithmetic_v<T> && sizeof(T) > sizeof(char)) {
    std::array<char, 64> room;
    auto* const end = std::to_chars(room.data(), room.data() + room.size(), value).ptr;
    std::string_view const digits(room.data(), static_cast<std::size_t>(end - room.data()));
    bool const is_whole = digits.find_first_not_of("-0123456789") == std::string_view::npos;
    out << digits << (std::floating_point<T> && is_whole ? ".0" : "");
  } else if constexpr (std::convertible_to<T const&, std::string_view>) {
    out << quote(value);
  } else {
    out << value;
  }
}

/// `print(item)` of all, with commas between them.
template <class Range, class Print>
void print_items(std::ostream& out, Range const& range, Print const& print) {
  char const* separator = "";
  for (auto const& item : range) {
    out << std::exchange(separator, ", ");
    print(item);
  }
}
template <class Range>
void print_items(std::ostream& out, Range const& range) {
  print_items(out, range, [&](auto const& item) { print_repr(out, item); });
}

}  // namespace multiprocessing::base
