// SPDX-License-Identifier: BSL-1.0
// expect: to take one by reference is not to share it
#include <multiprocessing/process.hpp>

#ifdef WRONG
void count(int& number);
#else
void count(int const& number);
#endif

void use() {
  int number = 0;
  multiprocessing::Process process(count, number);
}
