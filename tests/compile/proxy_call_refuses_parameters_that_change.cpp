// SPDX-License-Identifier: BSL-1.0
// expect: would change in the manager's process only; return it instead
#include <multiprocessing/manager.hpp>

struct Counter {
#ifdef WRONG
  void read(int& result) { result = 1; }
#else
  int read(int const& before) { return before; }
#endif
};

void use(multiprocessing::Manager const& manager) {
  manager.create<Counter>().call(&Counter::read, 1);
}
