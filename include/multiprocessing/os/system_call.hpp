// SPDX-License-Identifier: BSL-1.0
// What every system call needs: EINTR has one home, and a failure names the call and the object.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

namespace multiprocessing::os {

/// Calls again as long as a signal handler interrupted the call. Every site that can be
/// interrupted shows this name.
template <class Call>
auto retry_eintr(Call call) {
  for (;;) {
    auto const result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// Throws: std::system_error with `code`, and the text "call(object)".
[[noreturn]] inline void throw_error(int code, std::string_view call,
                                     std::string_view object = {}) {
  std::string text(call);
  text.append("(").append(object).append(")");
  throw std::system_error(code, std::generic_category(), text);
}

[[noreturn]] inline void throw_errno(std::string_view call, std::string_view object = {}) {
  throw_error(errno, call, object);
}

}  // namespace multiprocessing::os
