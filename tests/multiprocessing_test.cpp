// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace multiprocessing_test {

TEST_CASE("one header brings everything", "[multiprocessing]") {
  namespace mp = multiprocessing;
  mp::Pool pool(1);
  CHECK(pool.map([](int x) { return x + 1; }, std::vector{1}) == std::vector{2});
  mp::Process process([] {});
  process.start();
  process.join();
  CHECK_THROWS_AS(mp::Pool(0), std::invalid_argument);
}

TEST_CASE("whoever waits for a shared object uses no processor time", "[multiprocessing]") {
  namespace mp = multiprocessing;
  mp::Lock const lock;
  mp::RLock const rlock;
  mp::Semaphore const semaphore(0);
  mp::Semaphore const reclaiming({.value = 1, .reclaim = true});
  mp::Event const event;
  mp::Condition const condition;
  mp::Barrier const barrier(3);
  lock.acquire();
  rlock.acquire();
  reclaiming.acquire();
  std::vector<std::function<void()>> const waits = {
      [&] { lock.acquire(); },
      [&] { rlock.acquire(); },
      [&] { semaphore.acquire(); },
      [&] { reclaiming.acquire(); },
      [&] { event.wait(); },
      [&] {
        std::scoped_lock const guard(condition);
        condition.wait();
      },
      [&] { barrier.wait(); },
      [&] { barrier.wait(); },
  };
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (auto const& wait : waits) {
    children.push_back(std::make_unique<support::RawChild>(wait));
    support::wait_until_asleep(children.back()->pid());
  }
  CHECK(support::comes_to_rest([&] {
    long total = 0;
    for (auto const& child : children) total += support::used_time_of(child->pid());
    return total;
  }));
  lock.release();
  rlock.release();
  reclaiming.release();
}

}  // namespace multiprocessing_test
