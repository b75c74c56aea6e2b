// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing: the method takes the object by value
#include <multiprocessing/base_manager.hpp>

struct Counter {
  int value = 0;
};

#ifdef WRONG
using Object = Counter;
#else
using Object = Counter&;
#endif

void use(multiprocessing::BaseManager& manager) {
  manager.register_type<Counter>("Counter").method("add", [](Object its) { ++its.value; });
}
