// SPDX-License-Identifier: BSL-1.0
// Workers killed at random moments while maps run: every map returns the right results or throws
// WorkerDied, none hangs, and when the storm is over all is well.
//
//   MULTIPROCESSING_TEST_STORM=100000      more maps
#include <atomic>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/pool.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace kill_storm_test {

namespace mp = multiprocessing;

TEST_CASE("a storm of kills costs tasks, not answers", "[faults][stress]") {
  constexpr int kCallers = 3;
  auto const maps = support::setting("MULTIPROCESSING_TEST_STORM", 60'000);
  mp::Pool pool(4);
  std::atomic<bool> over{false};
  std::atomic<long> kills{0};
  std::jthread killer([&] {
    std::mt19937 random(1);  // NOLINT: the same run every time, as far as the kernel lets it
    while (!over) {
      auto const pids = pool.worker_pids();
      if (!pids.empty()) {
        int const pid = pids[random() % pids.size()];
        if (::getpgid(pid) == ::getpgrp() && ::kill(pid, SIGKILL) == 0) ++kills;
      }
      for (auto pause = random() % 300; pause > 0 && !over; --pause) std::this_thread::yield();
    }
  });
  std::atomic<long> good{0};
  std::atomic<long> lost{0};
  std::atomic<long> wrong{0};
  {
    std::vector<std::jthread> callers;
    for (int c = 0; c < kCallers; ++c) {
      callers.emplace_back([&, c] {
        auto const items = support::numbers(200 + c);
        auto const expected = support::squares(200 + c);
        std::vector<std::string> const names(50, std::string(static_cast<std::size_t>(c), 'x'));
        for (long i = 0; i < maps / kCallers; ++i) {
          try {
            bool const right = i % 2 == 0
                                   ? pool.map({.chunksize = 5}, support::square, items) == expected
                                   : pool.map({.chunksize = 7}, support::greet, names).back() ==
                                         support::greet(names.back());
            ++(right ? good : wrong);
          } catch (mp::WorkerDied const&) {
            ++lost;
          }
        }
      });
    }
  }
  over = true;
  killer.join();
  INFO(kills << " kills, " << good << " maps good, " << lost << " lost a task");
  CHECK(wrong == 0);
  CHECK(good > 0);
  CHECK(kills > 0);
  for (;;) {
    try {
      CHECK(pool.map(support::square, support::numbers(100)) == support::squares(100));
      break;
    } catch (mp::WorkerDied const&) {  // the last kill
    }
  }
}

}  // namespace kill_storm_test
