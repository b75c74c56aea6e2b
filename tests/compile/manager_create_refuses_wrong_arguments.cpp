// SPDX-License-Identifier: BSL-1.0
// expect: multiprocessing: the class can not be made from these arguments
#include <multiprocessing/manager.hpp>

struct Account {
  explicit Account(int) {}
};

void use(multiprocessing::Manager const& manager) {
#ifdef WRONG
  manager.create<Account>();
#else
  manager.create<Account>(1);
#endif
}
