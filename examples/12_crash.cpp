// SPDX-License-Identifier: BSL-1.0
// Code that crashes ends its process, and the caller gets an exception that says how.
#include <iostream>
#include <vector>

#include <multiprocessing/call.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/pool.hpp>

namespace mp = multiprocessing;

int* volatile nowhere = nullptr;

int parse(int input) { return input == 13 ? *nowhere : input * 2; }

int main() {
  try {  // one call, in a process that is made for it
    std::cout << "call: " << mp::call(parse, 4) << '\n';
    mp::call(parse, 13);
  } catch (mp::ProcessDied const& death) {
    std::cout << death.what() << '\n';
  }

  mp::Pool pool(2);  // many calls: who crashes is replaced
  try {
    pool.map({.chunksize = 1}, parse, std::vector{11, 12, 13, 14});
  } catch (mp::WorkerDied const& death) {
    std::cout << death.what() << '\n';  // which item, which process, where
  }
  std::cout << "map: " << pool.map(parse, std::vector{1, 2, 3}).size() << " results\n";
}
