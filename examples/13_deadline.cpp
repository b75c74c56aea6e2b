// SPDX-License-Identifier: BSL-1.0
// A task that takes too long is asked to stop, then killed: the pool goes on.
#include <chrono>
#include <iostream>
#include <thread>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pool.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

int hang() {
  for (;;) std::this_thread::sleep_for(1h);
}

int count_until_asked_to_stop() {
  int rounds = 0;
  for (; !mp::stop_requested(); ++rounds) std::this_thread::sleep_for(1ms);
  return rounds;
}

int main() {
  mp::Pool pool(2);
  try {
    pool.apply_async({.timeout = 100ms}, hang).get();
  } catch (mp::TaskTimeout const& late) {
    std::cout << late.what() << '\n';
  }
  // From the timeout on it is asked; only when the grace is over, too, it is killed.
  auto const rounds =
      pool.apply_async({.timeout = 100ms, .grace = 10s}, count_until_asked_to_stop).get();
  std::cout << "stopped by itself " << (rounds > 0 ? "after some rounds\n" : "at once\n");

  auto const cancelled = pool.apply_async(hang);  // without a deadline
  cancelled.cancel(mp::cancel_running);           // whether a worker has begun it or not
  try {
    cancelled.get();
  } catch (mp::CancelledError const& error) {
    std::cout << error.what() << '\n';
  }
}
