// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing: an argument does not convert to the function's parameter
#include <cstdint>

#include <multiprocessing/manager.hpp>

struct Counter {
  void add(std::uintptr_t) {}
};

void use(multiprocessing::Manager const& manager) {
#ifdef WRONG
  int argument = 1;
  manager.create<Counter>().call(&Counter::add, &argument);
#else
  manager.create<Counter>().call(&Counter::add, 1);
#endif
}
