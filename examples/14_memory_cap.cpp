// SPDX-License-Identifier: BSL-1.0
// A task may be given a limit of memory: it fails, the machine does not.
#include <cstddef>
#include <iostream>
#include <vector>

#include <multiprocessing/call.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/pool.hpp>

namespace mp = multiprocessing;

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t fill(std::size_t bytes) { return std::vector<char>(bytes, 'x').size(); }

int main() {
  mp::Pool pool({.processes = 2, .max_memory_per_task = 64 * kMiB});
  std::cout << "1 MiB: " << pool.apply(fill, kMiB) << " bytes\n";
  try {
    pool.apply(fill, 1024 * kMiB);
  } catch (mp::MemoryLimitExceeded const& error) {
    std::cout << "1 GiB: " << error.what() << '\n';
  }
  std::cout << "1 MiB: " << pool.apply(fill, kMiB) << " bytes\n";

  try {
    mp::call({.max_memory = 64 * kMiB}, fill, 1024 * kMiB);
  } catch (mp::MemoryLimitExceeded const& error) {
    std::cout << error.what() << '\n';
  }
}
