// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a raw pointer can not be sent to another process
// expect: a std::string for text
#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  using Text = char const*;
#else
  using Text = std::string;
#endif
  pool.map([](Text const& text) { return text[0]; }, std::vector<Text>{"a"});
}
