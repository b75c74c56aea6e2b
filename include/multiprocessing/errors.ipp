// SPDX-License-Identifier: BSL-1.0
// The bodies of errors.hpp.
#pragma once

#include <exception>
#include <string>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/wire/exception.hpp>

namespace multiprocessing {

MULTIPROCESSING_INLINE std::string format_exception(std::exception_ptr const& exception) {
  if (exception == nullptr) return "no exception\n";
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    return wire::format(wire::record_current_exception());
  }
}

}  // namespace multiprocessing
