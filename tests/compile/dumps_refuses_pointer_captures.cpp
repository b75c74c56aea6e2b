// SPDX-License-Identifier: BSL-1.0
// expect: this callable can not be sent to another process
// expect: captures a reference, `this`, a pointer
#include <multiprocessing/pickle.hpp>

multiprocessing::Bytes use(int n) {
#ifdef WRONG
  return multiprocessing::dumps([p = &n] { return *p; });
#else
  return multiprocessing::dumps([n] { return n; });
#endif
}
