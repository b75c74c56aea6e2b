// SPDX-License-Identifier: BSL-1.0
// expect: use of deleted function
#include <multiprocessing.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  multiprocessing::Pool copy = pool;
#else
  multiprocessing::Pool moved = std::move(pool);
#endif
}
