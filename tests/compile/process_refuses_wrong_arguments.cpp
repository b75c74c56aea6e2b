// SPDX-License-Identifier: BSL-1.0
// expect: the function can not be called with these arguments
#include <string>

#include <multiprocessing/process.hpp>

void greet(std::string const& name);

void use() {
#ifdef WRONG
  multiprocessing::Process process(greet, 1);
#else
  multiprocessing::Process process(greet, "x");
#endif
}
