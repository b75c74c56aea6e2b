// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: this callable can not be sent to another process
// expect: multiprocessing::bind(f, args...)
#include <multiprocessing/pickle.hpp>

#include <string>

auto write(std::string const& text) {
#ifdef WRONG
  return multiprocessing::dumps(
      [text](int x) { return text.size() + static_cast<std::size_t>(x); });
#else
  auto const f = [](std::string const& bound, int x) {
    return bound.size() + static_cast<std::size_t>(x);
  };
  return multiprocessing::dumps(multiprocessing::bind(f, text));
#endif
}
