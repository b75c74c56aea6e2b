// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/wait_queue.hpp>

#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace wait_queue_test {

using namespace multiprocessing::sync;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
struct Stage {
  Mutex mutex{Mutex::Kind::Plain};
  WaitQueue queue;
};
constexpr std::uint64_t kId = 0xABCDEF;
}  // namespace

TEST_CASE("a queue counts whom it told", "[wait_queue]") {
  support::InSharedMemory<Stage> const stage;
  CHECK(stage->queue.notify(kId, 1) == 0);
  auto const wait = [&] {
    stage->mutex.acquire(Deadline::never());
    bool const told = stage->queue.wait(kId, stage->mutex, Deadline::never());
    stage->mutex.release();
    return told ? 0 : 1;
  };
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<support::RawChild>(wait));
    support::wait_until_asleep(children.back()->pid());
  }
  children[1]->kill();
  children[1]->wait();
  children.erase(children.begin() + 1);
  stage->mutex.acquire(Deadline::never());
  CHECK(stage->queue.notify(kId + 1, 5) == 0);
  CHECK(stage->queue.notify(kId, 2) == 2);
  CHECK(stage->queue.notify_all(kId) == 1);
  CHECK(stage->queue.notify_all(kId) == 0);
  stage->mutex.release();
  for (auto& child : children) CHECK(child->wait() == 0);
}

TEST_CASE("news that come after the deadline, but before the lock, count", "[wait_queue]") {
  for (;;) {
    support::InSharedMemory<Stage> const stage;
    support::RawChild waiter([&] {
      stage->mutex.acquire(Deadline::never());
      bool const told = stage->queue.wait(kId, stage->mutex, Deadline::after(20ms));
      stage->mutex.release();
      return told ? 0 : 1;
    });
    support::wait_until_asleep(waiter.pid());
    stage->mutex.acquire(Deadline::never());
    auto const late = Deadline::after(25ms);
    while (!late.passed()) std::this_thread::yield();
    int const told = stage->queue.notify(kId, 1);
    stage->mutex.release();
    int const status = waiter.wait();
    CHECK((status == 0) == (told == 1));
    if (told == 1) break;  // else it had given up before this thread had the lock
  }
}

TEST_CASE("between threads every notification finds its sleeper", "[wait_queue][threads][stress]") {
  Stage stage;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000);
  long items = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (long n = 0; n < rounds; ++n) {
        stage.mutex.acquire(Deadline::never());
        while (items == 0) {
          static_cast<void>(stage.queue.wait(kId, stage.mutex, Deadline::never()));
        }
        --items;
        stage.mutex.release();
      }
    });
    threads.emplace_back([&] {
      for (long n = 0; n < rounds; ++n) {
        stage.mutex.acquire(Deadline::never());
        ++items;
        stage.queue.notify(kId, 1);
        stage.mutex.release();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(items == 0);
}

}  // namespace wait_queue_test
