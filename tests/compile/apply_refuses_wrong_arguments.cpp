// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: the function can not be called with these arguments
#include <multiprocessing/pool.hpp>

#include <string>

int length(std::string const& text);

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  pool.apply_async(length, 1, 2);
#else
  pool.apply_async(length, std::string("text"));
#endif
}
