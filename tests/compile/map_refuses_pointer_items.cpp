// SPDX-License-Identifier: BSL-1.0
// expect: items of this type can not be sent to another process
// expect: trivially copyable types without pointers, std::string, std::vector of these
#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  using Text = char const*;
#else
  using Text = std::string;
#endif
  pool.map([](Text const& text) { return text[0]; }, std::vector<Text>{"a"});
}
