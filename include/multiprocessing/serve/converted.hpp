// SPDX-License-Identifier: BSL-1.0
// Arguments as a function takes them.
#pragma once

#include <type_traits>
#include <utility>

namespace multiprocessing::serve {

/// A copy for a Parameter, made as in a call: nothing that needs a cast, or an explicit
/// constructor.
template <class Parameter, class Arg>
std::decay_t<Parameter> converted(Arg&& arg) {
  static_assert(std::is_convertible_v<Arg, std::decay_t<Parameter>>,
                "multiprocessing: an argument does not convert to the function's parameter");
  if constexpr (std::is_convertible_v<Arg, std::decay_t<Parameter>>) {
    return std::forward<Arg>(arg);
  }
}

}  // namespace multiprocessing::serve
