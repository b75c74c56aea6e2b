// SPDX-License-Identifier: BSL-1.0
// expect: this callable can not be sent to another process
// expect: captures a reference, `this`, a pointer
#include <multiprocessing/pickle.hpp>

struct Model {
  int factor;
  multiprocessing::Bytes use() const {
#ifdef WRONG
    return multiprocessing::dumps([this] { return factor; });
#else
    return multiprocessing::dumps([self = *this] { return self.factor; });
#endif
  }
};
