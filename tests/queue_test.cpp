// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/queue.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace queue_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

mp::shm::Arena& arena() { return mp::shm::Heap::instance().arena(); }

/// Keeps whatever this process shares alive in another process, as long as it lives.
struct Bystander {
  support::Pipe end;
  support::RawChild child{[this] {
    end.writer.reset();
    end.hear();
  }};
  ~Bystander() {
    end.tell();
    child.wait();
  }
};

/// Throws while it is encoded when it is asked to.
struct Bomb {
  int fuse = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(fuse);
    if (fuse < 0) throw std::runtime_error("bang");
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a queue is full after as many puts as it holds, in any spelling", "[queue]",
                   mp::Queue<int>, mp::JoinableQueue<int>) {
  TestType const queue(6);
  auto const tomorrow = std::chrono::system_clock::now() + 24h;
  CHECK(queue.empty());
  queue.put(1);
  queue.put(2, 10s);
  queue.put_nowait(3);
  CHECK(queue.try_put(4));
  CHECK(queue.put_for(5, 10s));
  CHECK_FALSE(queue.full());
  CHECK(queue.put_until(6, tomorrow));
  CHECK(queue.full());
  CHECK(queue.qsize() == 6);
  CHECK_THROWS_AS(queue.put_nowait(7), mp::Full);
  CHECK_THROWS_AS(queue.put(7, 1ms), mp::Full);
  CHECK_FALSE(queue.try_put(7));
  CHECK_FALSE(queue.put_for(7, 1ms));
  CHECK_FALSE(queue.put_until(7, std::chrono::steady_clock::now()));
  CHECK(queue.get() == 1);
  CHECK(queue.get(10s) == 2);
  CHECK(queue.get_nowait() == 3);
  CHECK(queue.try_get() == 4);
  CHECK(queue.get_for(10s) == 5);
  CHECK(queue.get_until(tomorrow) == 6);
  CHECK(queue.empty());
  CHECK_FALSE(queue.full());
  CHECK_THROWS_AS(queue.get_nowait(), mp::Empty);
  CHECK_THROWS_AS(queue.get(1ms), mp::Empty);
  CHECK(queue.try_get() == std::nullopt);
  CHECK(queue.get_for(1ms) == std::nullopt);
  CHECK(queue.get_until(std::chrono::steady_clock::now()) == std::nullopt);
}

TEST_CASE("timeouts last as long as they say", "[queue]") {
  mp::Queue<int> const queue(1);
  auto const begin = std::chrono::steady_clock::now();
  CHECK(queue.get_for(50ms) == std::nullopt);
  CHECK(std::chrono::steady_clock::now() - begin >= 50ms);
  queue.put(1);
  CHECK_FALSE(queue.put_for(2, 50ms));
  CHECK(std::chrono::steady_clock::now() - begin >= 100ms);
}

TEST_CASE("qsize is exact, across processes", "[queue]") {
  mp::Queue<int> const queue;
  CHECK(queue.qsize() == 0);
  queue.put(1);
  CHECK(queue.qsize() == 1);
  mp::Process child(
      [](mp::Queue<int> const& same) {
        same.put(2);
        if (same.qsize() != 2) mp::exit(1);
        same.get();
        if (same.qsize() != 1) mp::exit(2);
      },
      queue);
  child.start();
  child.join();
  CHECK(child.exitcode() == 0);
  CHECK(queue.qsize() == 1);
  CHECK(queue.get() == 2);
  CHECK(queue.empty());
}

TEST_CASE("qsize says nothing that never was, while others put and get", "[queue][stress][fork]") {
  mp::Queue<int> const queue(3);
  mp::RawValue<int> const is_over(0);
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000));
  support::RawChild producer([&] {
    for (int i = 0; i < rounds; ++i) queue.put(i);
    queue.shutdown();
  });
  support::RawChild consumer([&] {
    for (int const item : queue) static_cast<void>(item);
    is_over = 1;
  });
  std::size_t most = 0;
  while (is_over.atomic() == 0) most = std::max(most, queue.qsize());
  CHECK(most <= 3);
  CHECK(producer.wait() == 0);
  CHECK(consumer.wait() == 0);
}

TEST_CASE("copies are the same queue", "[queue]") {
  mp::Queue<int> const queue;
  auto const copy = queue;
  CHECK(copy == queue);
  CHECK_FALSE(mp::Queue<int>() == queue);
  copy.put(1);
  CHECK(queue.get() == 1);
}

TEST_CASE("a producer may end at once, and be joined before anybody gets", "[queue]") {
  mp::Queue<std::string> const queue;
  constexpr int kItems = 10'000;
  mp::Process producer(
      [](mp::Queue<std::string> const& out) {
        for (int i = 0; i < kItems; ++i) out.put(std::to_string(i) + std::string(1024, '.'));
      },
      queue);
  producer.start();
  producer.join();
  CHECK(queue.qsize() == kItems);
  for (int i = 0; i < kItems; ++i) {
    REQUIRE(queue.get() == std::to_string(i) + std::string(1024, '.'));
  }
  CHECK(queue.empty());
}

TEST_CASE("items of one producer keep their order, each is got once", "[queue][stress]") {
  struct Item {
    int producer;
    int number;
  };
  constexpr int kProducers = 3;
  constexpr int kConsumers = 2;
  int const each = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 3000));
  mp::Queue<Item> const queue(50);
  mp::RawValue<int> const got(0);
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (int c = 0; c < kConsumers; ++c) {
    children.push_back(std::make_unique<support::RawChild>([&] {
      std::vector<int> last(kProducers, -1);
      for (auto const& [producer, number] : queue) {
        if (number <= last[static_cast<std::size_t>(producer)]) return 1;
        last[static_cast<std::size_t>(producer)] = number;
        ++got.atomic();
      }
      return 0;
    }));
  }
  {
    std::vector<std::unique_ptr<support::RawChild>> producers;
    for (int p = 0; p < kProducers; ++p) {
      producers.push_back(std::make_unique<support::RawChild>([&, p] {
        for (int i = 0; i < each; ++i) queue.put({p, i});
      }));
    }
    for (auto& producer : producers) CHECK(producer->wait() == 0);
  }
  queue.shutdown();
  for (auto& child : children) CHECK(child->wait() == 0);
  CHECK(got.value() == kProducers * each);
}

TEST_CASE("threads of one process put and get", "[queue]") {
  mp::Queue<int> const queue(10);
  constexpr int kEach = 2000;
  std::atomic<long> sum{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 1; i <= kEach; ++i) queue.put(i);
      });
      threads.emplace_back([&] {
        for (int i = 1; i <= kEach; ++i) sum += queue.get();
      });
    }
  }
  CHECK(sum == 2L * kEach * (kEach + 1) / 2);
  CHECK(queue.empty());
}

TEST_CASE("get_nowait finds what is there, put_nowait room, whoever else is at the queue",
          "[queue][stress]") {
  int const each = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000));
  mp::Queue<int> const queue(static_cast<std::size_t>(2 * each));
  auto const fill = [&] {
    for (int i = 0; i < each; ++i) {
      if (!queue.try_put(i)) return 1;
    }
    return 0;
  };
  auto const empty = [&] {
    for (int i = 0; i < each; ++i) {
      if (!queue.try_get()) return 1;
    }
    return 0;
  };
  {
    support::RawChild one(fill);
    support::RawChild two(fill);
    CHECK(one.wait() == 0);
    CHECK(two.wait() == 0);
  }
  while (!queue.full()) queue.put(0);
  support::RawChild one(empty);
  support::RawChild two(empty);
  CHECK(one.wait() == 0);
  CHECK(two.wait() == 0);
}

TEST_CASE("an item that throws while it is encoded loses nothing", "[queue]") {
  mp::Queue<Bomb> const queue(3);
  queue.put({1});
  CHECK_THROWS_AS(queue.put({-1}), std::runtime_error);
  CHECK_THROWS_AS(queue.put_nowait({-1}), std::runtime_error);
  CHECK(queue.qsize() == 1);
  queue.put({2});
  CHECK(queue.get().fuse == 1);
  CHECK(queue.get().fuse == 2);
  CHECK(queue.empty());
}

TEST_CASE("large items pass between processes", "[queue]") {
  mp::Queue<std::vector<int>> const queue(2);
  mp::Process child(
      [](mp::Queue<std::vector<int>> const& out) {
        for (std::size_t const size : {0U, 2000U, 3000U, 1'000'000U, 8'000'000U, 1U}) {
          out.put(std::vector<int>(size, static_cast<int>(size)));
        }
      },
      queue);
  child.start();
  for (std::size_t const size : {0U, 2000U, 3000U, 1'000'000U, 8'000'000U, 1U}) {
    CHECK(queue.get() == std::vector<int>(size, static_cast<int>(size)));
  }
  child.join();
}

TEST_CASE("memory goes back to the system when a large backlog has been drained", "[queue][fork]") {
  constexpr std::uint64_t kMiB = 1 << 20;
  auto const sum = (support::kSanitized ? 160 : 256) * kMiB;
  for (std::size_t const size : {std::size_t{1024}, std::size_t{100'000}}) {
    arena().trim();
    auto const before = arena().memory();
    auto const blocks = arena().used_blocks();
    {
      mp::Queue<std::string> const queue;
      auto const count = sum / size;
      std::string const item(size, 'x');
      for (std::uint64_t i = 0; i < count; ++i) queue.put(item);
      CHECK(arena().memory() - before > sum);
      for (std::uint64_t i = 0; i < count; ++i) REQUIRE(queue.get().size() == size);
      // Some memory is kept warm.
      CHECK(arena().memory() < before + 220 * kMiB);
      arena().trim();
      CHECK(arena().memory() < before + 8 * kMiB);
      CHECK(arena().used_blocks() <= blocks + 3);
    }
    CHECK(arena().used_blocks() == blocks);
  }
}

TEST_CASE("get ends when all producers were killed, after what they had put", "[queue]") {
  mp::Queue<int> const queue;
  auto const put_and_stay = [](mp::Queue<int> const& out, int item) {
    out.put(item);
    for (;;) ::pause();
  };
  std::vector<mp::Process> producers;
  std::vector<pid_t> pids;
  for (int p = 0; p < 2; ++p) {
    producers.emplace_back(put_and_stay, queue, p);
    producers.back().start();
    pids.push_back(*producers.back().pid());
  }
  CHECK(queue.get() + queue.get() == 1);
  CHECK(queue.get_for(1ms) == std::nullopt);
  support::RawChild killer([&, pid = ::getpid()] {
    support::wait_until_asleep(pid);
    for (pid_t const each : pids) ::kill(each, SIGKILL);
  });
  CHECK_THROWS_AS(queue.get(), mp::EOFError);
  killer.wait();
  for (auto& producer : producers) producer.join();
}

TEST_CASE("put ends when a full queue's consumers were killed", "[queue]") {
  mp::Queue<int> const queue(1);
  support::RawChild consumer([] {
    for (;;) ::pause();
  });
  queue.put(1);
  support::RawChild killer([&, pid = ::getpid()] {
    support::wait_until_asleep(pid);
    consumer.kill();
  });
  CHECK_THROWS_AS(queue.put(2), mp::BrokenPipeError);
  CHECK(queue.get() == 1);
  killer.wait();
  consumer.wait();
}

TEST_CASE("consumers that are killed while they wait cost others nothing", "[queue]") {
  mp::Queue<int> const queue;
  for (int i = 0; i < 2; ++i) {
    support::RawChild victim([&] { queue.get(); });
    support::wait_until_asleep(victim.pid());
    victim.kill();
    victim.wait();
  }
  constexpr int kItems = 2000;
  support::RawChild survivor([&] {
    for (int i = 0; i < kItems; ++i) {
      if (queue.get() != i) return 1;
    }
    return 0;
  });
  support::wait_until_asleep(survivor.pid());
  for (int i = 0; i < kItems; ++i) queue.put(i);
  CHECK(survivor.wait() == 0);
}

TEST_CASE("a queue that was shut down gives what it has, and takes nothing", "[queue]") {
  mp::Queue<int> const queue;
  queue.put(1);
  queue.shutdown();
  queue.shutdown();
  CHECK_THROWS_AS(queue.put(2), mp::ShutDown);
  CHECK_THROWS_AS(queue.put_nowait(2), mp::ShutDown);
  CHECK_THROWS_AS(queue.put(2, 1ms), mp::ShutDown);
  CHECK(queue.qsize() == 1);
  mp::Process child([](mp::Queue<int> const& rest) { mp::exit(rest.get()); }, queue);
  child.start();
  child.join();
  CHECK(child.exitcode() == 1);
  CHECK_THROWS_AS(queue.get(), mp::ShutDown);
  CHECK_THROWS_AS(queue.get_nowait(), mp::ShutDown);
  CHECK_THROWS_AS(queue.get(1ms), mp::ShutDown);
}

TEST_CASE("shutdown ends the waits of all, in other processes, too", "[queue]") {
  for (bool const at_once : {false, true}) {
    mp::Queue<int> const empty;
    mp::Queue<int> const full(1);
    full.put(1);
    auto const is_told = [](auto const& wait) {
      try {
        wait();
      } catch (mp::ShutDown const&) {
        return 0;
      }
      return 1;
    };
    support::RawChild getter([&] { return is_told([&] { empty.get(); }); });
    support::RawChild putter([&] { return is_told([&] { full.put(2); }); });
    support::wait_until_asleep(getter.pid());
    support::wait_until_asleep(putter.pid());
    if (at_once) {
      empty.shutdown(mp::immediate);
      full.shutdown(mp::immediate);
    } else {
      empty.shutdown();
      full.shutdown();
    }
    CHECK(getter.wait() == 0);
    CHECK(putter.wait() == 0);
    CHECK(full.qsize() == (at_once ? 0 : 1));
  }
}

TEST_CASE("shutdown(immediate) drops what is there", "[queue]") {
  mp::Queue<std::string> const queue;
  auto const blocks = arena().used_blocks();
  for (int i = 0; i < 100; ++i) queue.put(std::string(20'000, 'x'));
  queue.shutdown(mp::immediate);
  CHECK(queue.qsize() == 0);
  CHECK_THROWS_AS(queue.get(), mp::ShutDown);
  CHECK(arena().used_blocks() <= blocks + 2);
}

TEST_CASE("a closed queue is closed for this process, not for others", "[queue]") {
  mp::Queue<int> const queue;
  queue.close();
  queue.close();
  CHECK_THROWS_AS(queue.put(1), std::invalid_argument);
  CHECK_THROWS_AS(queue.get(), std::invalid_argument);
  CHECK_THROWS_AS(queue.get_nowait(), std::invalid_argument);
  CHECK(support::message_of<std::invalid_argument>([&] { queue.get(); }) ==
        "Queue.get: the queue is closed");

  mp::Queue<int> const other;
  support::RawChild child([&] { other.close(); });
  CHECK(child.wait() == 0);
  other.put(1);
  CHECK(other.get() == 1);
}

TEST_CASE("close ends the waits of this process's threads", "[queue]") {
  mp::Queue<int> const queue;
  std::jthread const waiter([&] { CHECK_THROWS_AS(queue.get(), std::invalid_argument); });
  queue.close();
}

TEST_CASE("a loop over a queue ends when it was shut down and is empty", "[queue]") {
  mp::Queue<int> const queue;
  mp::Process producer(
      [](mp::Queue<int> const& out) {
        for (int i = 0; i < 100; ++i) out.put(i);
        out.shutdown();
      },
      queue);
  producer.start();
  int expected = 0;
  for (int const item : queue) CHECK(item == expected++);
  CHECK(expected == 100);
  producer.join();
}

TEST_CASE("an item is put before shutdown, or refused, and never lost between",
          "[queue][stress][fork]") {
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 300);
  for (long round = 0; round < rounds; ++round) {
    mp::Queue<int> const queue;
    mp::RawValue<int> const put(0);
    support::Pipe ready;
    support::RawChild producer([&] {
      ready.tell();
      try {
        for (;; ++put.atomic()) queue.put(0);
      } catch (mp::ShutDown const&) {
      }
    });
    ready.hear();
    queue.shutdown();
    int got = 0;
    for (int const item : queue) got += 1 + item;
    CHECK(producer.wait() == 0);
    REQUIRE(got == put.value());
  }
}

TEST_CASE("join waits until all items are done", "[queue]") {
  mp::JoinableQueue<int> const queue;
  queue.join();
  constexpr int kItems = 10;
  mp::RawValue<int> const done(0);
  for (int i = 0; i < kItems; ++i) queue.put(i);
  CHECK_FALSE(queue.join_for(1ms));
  auto const work = [](mp::JoinableQueue<int> const& items, mp::RawValue<int> const& count) {
    for (int const item : items) {
      static_cast<void>(item);
      ++count.atomic();
      items.task_done();
    }
  };
  std::vector<mp::Process> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back(work, queue, done);
    workers.back().start();
  }
  queue.join();
  CHECK(done.value() == kItems);
  CHECK(queue.join_for(1ms));
  CHECK_THROWS_AS(queue.task_done(), std::invalid_argument);
  queue.put(1);
  queue.join();
  queue.shutdown();
  for (auto& worker : workers) {
    worker.join();
    CHECK(worker.exitcode() == 0);
  }
}

TEST_CASE("shutdown(immediate) ends a join, and nothing is left to be done", "[queue]") {
  mp::JoinableQueue<int> const queue;
  queue.put(1);
  queue.put(2);
  support::RawChild joiner([&] { queue.join(); });
  support::wait_until_asleep(joiner.pid());
  queue.shutdown(mp::immediate);
  CHECK(joiner.wait() == 0);
  CHECK_THROWS_AS(queue.task_done(), std::invalid_argument);
}

TEST_CASE("a join that nobody could end throws", "[queue]") {
  mp::JoinableQueue<int> const queue;
  support::RawChild worker([&] {
    queue.get();
    std::raise(SIGKILL);
  });
  queue.put(1);
  worker.wait();
  CHECK_THROWS_AS(queue.join(), mp::EOFError);
}

TEST_CASE("a simple queue is a queue", "[queue]") {
  mp::SimpleQueue<bool> const queue;
  Bystander const bystander;
  CHECK(queue.empty());
  mp::Process child(
      [](mp::SimpleQueue<bool> const& out) {
        out.put(true);
        out.put(false);
      },
      queue);
  child.start();
  CHECK(queue.get());
  CHECK_FALSE(queue.get());
  CHECK(queue.empty());
  child.join();
  queue.close();
  queue.close();
  CHECK_THROWS_AS(queue.get(), std::invalid_argument);
  CHECK_THROWS_AS(queue.put(true), std::invalid_argument);
}

TEST_CASE("a dropped queue leaves nothing", "[queue]") {
  auto const before = arena().used_blocks();
  {
    mp::Queue<std::string> const queue;
    for (int i = 0; i < 1000; ++i) queue.put(std::string(static_cast<std::size_t>(i * 20), 'x'));
    for (int i = 0; i < 500; ++i) queue.get();
    CHECK(arena().used_blocks() > before);
  }
  CHECK(arena().used_blocks() == before);
}

TEST_CASE("a queue that was moved from is the same queue still", "[queue]") {
  mp::Queue<int> queue;
  auto const moved = std::move(queue);
  queue.put(1);  // NOLINT: that is the point
  CHECK(moved.get() == 1);
}

namespace {
struct PutsAtTheEnd {
  mp::Queue<std::string> const* queue;
  ~PutsAtTheEnd() { queue->put("late"); }
};
}  // namespace

TEST_CASE("the last destructors of a thread may put", "[queue]") {
  mp::Queue<std::string> const queue;
  std::thread([&] {
    static thread_local PutsAtTheEnd last{&queue};  // outlives what is made after it
    last.queue->put("early");
  }).join();
  CHECK(queue.get() == "early");
  CHECK(queue.get() == "late");
}

}  // namespace queue_test
