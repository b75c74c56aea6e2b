// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/idle_workers.hpp>

#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/sync/adaptive_spin.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace idle_workers_test {

using namespace multiprocessing::work;
using multiprocessing::sync::AdaptiveSpin;

namespace {

/// Threads as workers, who do items of work when there are some.
template <class Item>
class Workers {
 public:
  Workers(int count, Item item) : item_(std::move(item)) {
    idle.set_size(static_cast<std::size_t>(count));
    for (int number = 0; number < count; ++number) {
      std::promise<pid_t> id;
      threads_.emplace_back([=, this, &id] {
        id.set_value(::gettid());
        work(static_cast<WorkerNumber>(number));
      });
      ids_.push_back(id.get_future().get());
    }
  }
  ~Workers() {
    closing_ = true;
    idle.wake_everybody();
    for (auto& thread : threads_) thread.join();
  }

  void put() {
    ++items_;
    idle.wake_one(searcher);
  }
  /// ... while a worker is the searcher that will not look.
  void put_beside(WorkerNumber other) {
    while (!searcher.become(other)) std::this_thread::yield();
    put();
  }
  /// REQUIRES: nothing is left to be done.
  void wait_until_all_sleep() const {
    for (auto const id : ids_) support::wait_until_asleep(id);
  }

  Searcher searcher;
  IdleWorkers idle;

 private:
  void work(WorkerNumber me) {
    AdaptiveSpin spin;
    bool was_idle = false;
    for (;;) {
      bool const is_last = closing_;
      if (take()) {
        if (std::exchange(was_idle, false)) {
          idle.has_found(searcher, me, [this] { return items_ > 0; });
        }
        item_();
        continue;
      }
      if (is_last) return;
      idle.await(
          searcher, me, [this] { return closing_ || items_ > 0; }, spin);
      was_idle = true;
    }
  }
  bool take() {
    for (auto items = items_.load(); items > 0;) {
      if (items_.compare_exchange_weak(items, items - 1)) return true;
    }
    return false;
  }

  Item const item_;
  std::atomic<int> items_{0};
  std::atomic<bool> closing_{false};
  std::vector<std::thread> threads_;
  std::vector<pid_t> ids_;
};

void wait_for(std::atomic<int> const& count, int at_least) {
  while (count < at_least) std::this_thread::yield();
}

}  // namespace

TEST_CASE("one at a time is the searcher", "[idle_workers]") {
  Searcher searcher;
  CHECK_FALSE(searcher.exists());
  CHECK(searcher.become(0));
  CHECK(searcher.become(0));
  CHECK_FALSE(searcher.become(1));
  searcher.give_up(1);
  CHECK(searcher.exists());
  searcher.give_up(0);
  CHECK_FALSE(searcher.exists());
  CHECK(searcher.become(1023));
}

TEST_CASE("who finds something at once does not sleep", "[idle_workers]") {
  IdleWorkers idle;
  Searcher searcher;
  AdaptiveSpin spin;
  idle.await(
      searcher, 3, [] { return true; }, spin);
  REQUIRE(searcher.become(3));
  idle.has_found(searcher, 3, [] { return true; });
  CHECK_FALSE(searcher.exists());
}

TEST_CASE("work that waits for other work has a worker each", "[idle_workers][threads]") {
  for (int const count : {1, 2, 5, 70}) {
    std::atomic<int> begun{0};
    std::atomic<int> together{count};
    Workers workers(count, [&] {
      int const all = together;
      ++begun;
      wait_for(begun, all);
    });
    for (int round = 1; round <= 20; ++round) {
      for (int i = 0; i < count; ++i) workers.put();
      wait_for(begun, together);
      if (round < 20) together += count;
    }
    CHECK(begun == 20 * count);
  }
}

TEST_CASE("each of many workers is woken", "[idle_workers][threads]") {
  constexpr int kWorkers = 65;  // more than bits in a word
  std::atomic<int> begun{0};
  Workers workers(kWorkers, [&] {
    ++begun;
    wait_for(begun, kWorkers);
  });
  for (int i = 0; i < kWorkers; ++i) workers.put();
  wait_for(begun, kWorkers);
  CHECK(begun == kWorkers);
}

TEST_CASE("nothing is put up in vain", "[idle_workers][threads][stress]") {
  auto const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  std::atomic<int> done{0};
  Workers workers(3, [&] { ++done; });
  for (int round = 1; round <= rounds; ++round) {
    workers.put();
    // Now and then when all of them have something, sometimes when all sleep.
    if (round % 3 == 0) wait_for(done, round);
    if (round % 513 == 0) workers.wait_until_all_sleep();
  }
  wait_for(done, static_cast<int>(rounds));
  CHECK(done == rounds);
}

TEST_CASE("nobody is woken while somebody looks for work", "[idle_workers][threads]") {
  constexpr WorkerNumber kOther = 1;
  std::atomic<int> done{0};
  Workers workers(1, [&] { ++done; });
  workers.wait_until_all_sleep();
  workers.put_beside(kOther);
  workers.wait_until_all_sleep();
  CHECK(done == 0);
  workers.idle.has_found(workers.searcher, kOther, [] { return true; });
  wait_for(done, 1);
  CHECK(done == 1);
}

TEST_CASE("when a searcher is found dead, others look in its place", "[idle_workers][threads]") {
  constexpr WorkerNumber kDead = 1;
  std::atomic<int> done{0};
  Workers workers(1, [&] { ++done; });
  for (int round = 1; round <= 100; ++round) {
    workers.put_beside(kDead);
    workers.idle.bury(workers.searcher, kDead);
    wait_for(done, round);
  }
  CHECK(done == 100);
}

TEST_CASE("who waits too long wakes all in place of a searcher that was stopped",
          "[idle_workers][threads]") {
  constexpr WorkerNumber kStopped = 2;
  std::atomic<int> done{0};
  Workers workers(1, [&] { ++done; });
  for (int round = 1; round <= 100; ++round) {
    workers.put_beside(kStopped);
    while (done < round) {
      workers.idle.wake_all();
      std::this_thread::yield();
    }
    workers.searcher.give_up(kStopped);
  }
  CHECK(done == 100);
}

}  // namespace idle_workers_test
