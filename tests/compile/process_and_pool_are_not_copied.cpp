// SPDX-License-Identifier: BSL-1.0
// expect: deleted
#include <multiprocessing.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  multiprocessing::Pool copy = pool;
#else
  multiprocessing::Pool moved = std::move(pool);
#endif
}
