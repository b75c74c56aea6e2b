// SPDX-License-Identifier: BSL-1.0
// expect: too large to change in one atomic step
// expect: use update(), or lock()
#include <multiprocessing/value.hpp>

struct Parts {
#ifdef WRONG
  long parts[16];
#else
  long parts[1];
#endif
};

Parts use(multiprocessing::Value<Parts> const& value) { return value.atomic().load(); }
