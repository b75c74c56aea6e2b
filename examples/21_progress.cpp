// SPDX-License-Identifier: BSL-1.0
// A bar on the terminal while results come in.
#include <chrono>
#include <iostream>
#include <numeric>
#include <thread>
#include <vector>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/progress.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

int slow_square(int n) {
  std::this_thread::sleep_for(10ms);  // stands for work
  return n * n;
}

int main() {
  std::vector<int> numbers(100);
  std::iota(numbers.begin(), numbers.end(), 1);

  mp::Pool pool(4);
  long sum = 0;
  // Drawn on stderr, and only where that is a terminal:
  // squares:  38%|#####8        | 38/100 [00:00<00:00, 381.20it/s]
  for (int n : mp::progress(pool.imap_unordered(slow_square, numbers),
                            {.total = numbers.size(), .label = "squares"})) {
    sum += n;
  }
  std::cout << "the sum is " << sum << '\n';
}
