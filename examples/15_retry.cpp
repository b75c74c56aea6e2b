// SPDX-License-Identifier: BSL-1.0
// What fails now and then is run again, by itself.
#include <chrono>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <string>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/value.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

// Crashes twice, then throws, then answers.
std::string flaky(mp::Value<int> const& attempts) {
  int const attempt = attempts.update([](int& n) { return ++n; });
  if (attempt <= 2) std::abort();
  if (attempt == 3) throw std::runtime_error("busy");
  return "answered at attempt " + std::to_string(attempt);
}

int main() {
  mp::Pool pool(2);
  mp::Value<int> attempts(0);

  auto const answer = pool.apply_async(
      {.retries = 5, .retry_on = mp::RetryOn::crash | mp::RetryOn::exception, .backoff = 10ms},
      flaky, attempts);  // waits 10 ms, 20 ms, 40 ms, ..
  std::cout << answer.get() << '\n';

  attempts = 0;
  try {  // by default crashes only are worth another try
    pool.apply_async({.retries = 5}, flaky, attempts).get();
  } catch (std::runtime_error const& error) {
    std::cout << error.what() << " at attempt " << attempts.value() << '\n';
  }
}
