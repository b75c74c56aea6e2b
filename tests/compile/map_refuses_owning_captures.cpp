// SPDX-License-Identifier: BSL-1.0
// one error
// expect: a value that is not trivially copyable
#include <string>

#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  std::string const text = "x";
  pool.map([text](int x) { return x + static_cast<int>(text.size()); }, std::vector{1});
#else
  pool.map([size = 1](int x) { return x + size; }, std::vector{1});
#endif
}
