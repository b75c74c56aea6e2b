// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing.hpp>

int sum_of_squares(multiprocessing::Pool& pool) {
  int sum = 0;
  for (int const x : pool.map([](int x) { return x * x; }, std::vector{1, 2, 3})) sum += x;
  return sum;
}
