// SPDX-License-Identifier: BSL-1.0
// expect: shared memory aligns to cache lines, this type wants more
#include <multiprocessing/value.hpp>

#ifdef WRONG
struct alignas(256) Wide {
  int x;
};
#else
struct alignas(64) Wide {
  int x;
};
#endif

int use() { return multiprocessing::RawValue<Wide>().value().x; }
