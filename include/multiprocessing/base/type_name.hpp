// SPDX-License-Identifier: BSL-1.0
// Names as the user wrote them, for messages.
#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <typeinfo>

namespace multiprocessing::base {

/// The name as the linker knows it, readable; itself when it is no name of C++.
inline std::string readable_name(char const* name) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> const readable(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 ? readable.get() : name;
}

inline std::string type_name(std::type_info const& type) { return readable_name(type.name()); }

/// What it says; also where what() breaks its promise and returns no text.
inline char const* text_of(std::exception const& error) noexcept {
  char const* const text = error.what();
  return text != nullptr ? text : "";
}

/// The type of the exception that is being handled; "unknown exception" when the runtime can't say.
inline std::string current_exception_type_name() {
  std::type_info const* const type = abi::__cxa_current_exception_type();
  return type != nullptr ? type_name(*type) : "unknown exception";
}

}  // namespace multiprocessing::base
