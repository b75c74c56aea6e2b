// SPDX-License-Identifier: BSL-1.0
// one error
// expect: this callable can not be sent to another process
// expect: capture plain values ([n], not [&])
#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool, int n) {
#ifdef WRONG
  pool.apply_async([&n](int x) { return x + n; }, 1);
#else
  pool.apply_async([n](int x) { return x + n; }, 1);
#endif
}
