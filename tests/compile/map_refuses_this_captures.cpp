// SPDX-License-Identifier: BSL-1.0
// one error
// expect: captures a reference, `this`, a pointer
#include <multiprocessing/pool.hpp>

struct Model {
  int factor;
  void use(multiprocessing::Pool& pool) const {
#ifdef WRONG
    pool.map([this](int x) { return x * factor; }, std::vector{1});
#else
    pool.map([self = *this](int x) { return x * self.factor; }, std::vector{1});
#endif
  }
};
