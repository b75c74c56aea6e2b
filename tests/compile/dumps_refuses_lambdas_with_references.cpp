// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: this callable can not be sent to another process
// expect: capture plain values ([n], not [&])
#include <multiprocessing/pickle.hpp>

auto write(int number) {
#ifdef WRONG
  return multiprocessing::dumps([&number](int x) { return x + number; });
#else
  return multiprocessing::dumps([number](int x) { return x + number; });
#endif
}
