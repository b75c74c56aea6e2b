// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/membarrier.hpp>

#include <atomic>
#include <barrier>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace membarrier_test {

namespace os = multiprocessing::os;

TEST_CASE("who has joined may join again, and so may its children", "[membarrier]") {
  bool const joined = os::join_barriers();
  CHECK(os::join_barriers() == joined);
  CHECK(os::barrier_everywhere() == joined);
  support::RawChild child([&] { return os::barrier_everywhere() == joined ? 0 : 1; });
  CHECK(child.wait() == 0);
}

TEST_CASE("a barrier for all orders what a thread does that makes none", "[membarrier][stress]") {
  if (!os::join_barriers()) return;
  // Each writes its own and looks at the other's: without a barrier both may miss it.
  std::atomic<int> often{0};
  std::atomic<int> seldom{0};
  int seen_by_often = 0;
  int seen_by_seldom = 0;
  int missed = 0;
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 2000));
  std::barrier begin(2);
  std::barrier end(2);
  std::thread other([&] {
    for (int round = 1; round <= rounds; ++round) {
      begin.arrive_and_wait();
      often.store(round, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      seen_by_often = seldom.load(std::memory_order_relaxed);
      end.arrive_and_wait();
    }
  });
  for (int round = 1; round <= rounds; ++round) {
    begin.arrive_and_wait();
    seldom.store(round, std::memory_order_relaxed);
    os::barrier_everywhere();
    seen_by_seldom = often.load(std::memory_order_relaxed);
    end.arrive_and_wait();
    if (seen_by_often != round && seen_by_seldom != round) ++missed;
  }
  other.join();
  CHECK(missed == 0);
}

}  // namespace membarrier_test
