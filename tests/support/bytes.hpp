// SPDX-License-Identifier: BSL-1.0
// Text as bytes, and back.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace support {

inline std::span<std::byte const> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string text_of(std::span<std::byte const> bytes) {
  return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

}  // namespace support
