// SPDX-License-Identifier: BSL-1.0
// Standard streams around a fork.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string_view>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Before a fork, so that nothing buffered exists in two processes; in a child, before it ends.
/// The standard streams only: flushing every open FILE would wait for a thread that reads one, and
/// would write the parent's data from the child.
inline void flush_standard_streams() noexcept {
  try {
    std::cout.flush();
    std::clog.flush();
    std::wcout.flush();
    std::wclog.flush();
  } catch (...) {  // a stream with exceptions() on; the child's exit code must not depend on it
  }
  std::fflush(stdout);
  std::fflush(stderr);
}

/// One write, past every buffer, so that lines of several processes don't mix.
inline void write_to_stderr(std::string_view text) noexcept {
  while (!text.empty()) {
    auto const written =
        retry_eintr([&] { return ::write(STDERR_FILENO, text.data(), text.size()); });
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace multiprocessing::os
