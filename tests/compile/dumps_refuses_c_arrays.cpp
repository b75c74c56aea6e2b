// SPDX-License-Identifier: BSL-1.0
// expect: a C array can not be sent by itself
// expect: or std::string for text
#include <string>

#include <multiprocessing/pickle.hpp>

multiprocessing::Bytes use() {
#ifdef WRONG
  return multiprocessing::dumps("text");
#else
  return multiprocessing::dumps(std::string("text"));
#endif
}
