// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing: a method takes the object, and values or references to const
#include <multiprocessing/base_manager.hpp>

struct Counter {
#ifdef WRONG
  void read(int& result) { result = 1; }
#else
  int read(int const& before) { return before; }
#endif
};

void use(multiprocessing::BaseManager& manager) {
  manager.register_type<Counter>("Counter").method("read", &Counter::read);
}
