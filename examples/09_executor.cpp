// SPDX-License-Identifier: BSL-1.0
// The same as futures: concurrent.futures.ProcessPoolExecutor.
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/process_pool_executor.hpp>

namespace mp = multiprocessing;
using namespace std::string_literals;  // a pointer to text would not be sent

int cube(int n) { return n * n * n; }

std::string greet(std::string const& name) {
  if (name.empty()) throw std::invalid_argument("nobody to greet");
  return "hello " + name;
}

int main() {
  mp::ProcessPoolExecutor executor({.max_workers = 2});

  std::cout << "map:";  // a range, in order, of what has come so far
  for (int n : executor.map({.chunksize = 2}, cube, std::vector{1, 2, 3, 4, 5})) {
    std::cout << ' ' << n;
  }

  mp::Future<std::string> const greeting = executor.submit(greet, "world"s);
  std::cout << "\nsubmit: " << greeting.result();

  mp::Future<std::string> const failed = executor.submit(greet, ""s);
  try {
    failed.result();
  } catch (std::invalid_argument const& error) {
    std::cout << "\nan exception: " << error.what();
  }

  std::vector const futures{executor.submit(cube, 10), executor.submit(cube, 20)};
  auto const [done, not_done] = mp::wait(futures);
  std::cout << "\nwait: " << done.size() << " done, " << not_done.size() << " not\n";
}  // waits for what was submitted
