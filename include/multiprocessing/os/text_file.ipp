// SPDX-License-Identifier: BSL-1.0
// The bodies of text_file.hpp.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE std::string read_text_file(std::string const& path) {
  Fd const fd = above_standard(
      static_cast<int>(retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })));
  std::string text;
  if (!fd) return text;
  char buffer[1024];
  for (;;) {
    auto const length = retry_eintr([&] { return ::read(fd.get(), buffer, sizeof buffer); });
    if (length <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(length));
  }
}

MULTIPROCESSING_INLINE std::optional<std::uint64_t> number_after(std::string_view text,
                                                                 std::string_view label) {
  auto const found = text.find(label);
  if (found == std::string_view::npos) return std::nullopt;
  auto const begin = text.find_first_not_of(" \t", found + label.size());
  if (begin == std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  auto const result = std::from_chars(text.data() + begin, text.data() + text.size(), number);
  return result.ec == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace multiprocessing::os
