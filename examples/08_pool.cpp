// SPDX-License-Identifier: BSL-1.0
// Many calls on a few processes.
#include <chrono>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/pool.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

int square(int n) { return n * n; }

int checked(int n) {
  if (n == 7) throw std::out_of_range("seven is not served");
  return n;
}

int main() {
  mp::Pool pool(3);
  std::vector<int> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);

  std::cout << "map:";  // all of them, in order
  for (int n : pool.map(square, numbers)) std::cout << ' ' << n;

  int sum = 0;  // one after the other, as they are done
  for (int n : pool.imap_unordered({.chunksize = 2}, square, numbers)) sum += n;
  std::cout << "\nimap_unordered: the sum is " << sum;

  mp::AsyncResult<int> later = pool.apply_async(square, 100);
  std::cout << "\napply_async: " << later.get(10s);  // TimeoutError if it takes longer

  auto const texts = pool.map([](int n) { return std::to_string(n) + "!"; }, numbers);
  std::cout << "\na lambda: " << texts.back();

  try {
    pool.map(checked, numbers);
  } catch (std::out_of_range const& error) {  // as it was thrown there
    std::cout << "\nan exception: " << error.what() << '\n';
  }
}
