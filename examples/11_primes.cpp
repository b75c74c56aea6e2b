// SPDX-License-Identifier: BSL-1.0
// Primes by trial division, a chunk a task, and how much faster that is than one process.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

#include <multiprocessing/process_pool_executor.hpp>

namespace mp = multiprocessing;

bool is_prime(int n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (int divisor = 3; divisor <= n / divisor; divisor += 2) {
    if (n % divisor == 0) return false;
  }
  return true;
}

std::vector<int> primes_between(int begin, int end) {
  std::vector<int> primes;
  for (int n = begin; n < end; ++n) {
    if (is_prime(n)) primes.push_back(n);
  }
  return primes;
}

std::vector<int> on_many_processes(int limit, int chunk) {
  mp::ProcessPoolExecutor executor;  // a worker a processor
  std::vector<mp::Future<std::vector<int>>> futures;
  for (int begin = 0; begin < limit; begin += chunk) {
    futures.push_back(executor.submit(primes_between, begin, std::min(begin + chunk, limit)));
  }
  std::vector<int> primes;
  for (auto& done : mp::as_completed(futures)) {
    auto const part = done.result();
    primes.insert(primes.end(), part.begin(), part.end());
  }
  std::sort(primes.begin(), primes.end());  // chunks come as they are done
  return primes;
}

int main() {
  using Clock = std::chrono::steady_clock;
  auto const seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  auto const begin = Clock::now();
  auto const primes = on_many_processes(1'000'000, 20'000);
  auto const middle = Clock::now();
  bool const same = primes_between(0, 1'000'000) == primes;
  auto const end = Clock::now();

  std::cout << primes.size() << " primes\nfirst:";
  std::for_each_n(primes.begin(), 10, [](int prime) { std::cout << ' ' << prime; });
  std::cout << "\nlast:";
  std::for_each_n(primes.end() - 10, 10, [](int prime) { std::cout << ' ' << prime; });
  std::cout << "\nin a pool: " << seconds(middle - begin)
            << " s\none process: " << seconds(end - middle) << " s, "
            << (same ? "the same primes\n" : "others!\n");
}
