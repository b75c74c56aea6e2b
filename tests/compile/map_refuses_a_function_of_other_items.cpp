// SPDX-License-Identifier: BSL-1.0
// one error
// expect: the function can not be called with an item of this range
#include <multiprocessing/pool.hpp>

int length(std::string const& text);

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  pool.map(length, std::vector{1});
#else
  pool.map(length, std::vector<std::string>{"a"});
#endif
}
