// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing:
// expect: pointer
#include <multiprocessing/base_manager.hpp>

#ifdef WRONG
using Argument = int*;
#else
using Argument = int;
#endif

struct Counter {
  void add(Argument) {}
};

void use(multiprocessing::BaseManager& manager) {
  manager.register_type<Counter>("Counter").method("add", &Counter::add);
}
