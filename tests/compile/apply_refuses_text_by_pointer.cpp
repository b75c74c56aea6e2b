// SPDX-License-Identifier: BSL-1.0
// one error
// expect: a raw pointer can not be sent to another process
#include <multiprocessing/pool.hpp>

#include <string>

int length(std::string const& text);

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  pool.apply(length, "text");
#else
  pool.apply(length, std::string("text"));
#endif
}
