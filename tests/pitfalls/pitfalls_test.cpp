// SPDX-License-Identifier: BSL-1.0
// What docs/pitfalls.md says, where no other test does.
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/lock.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/start_methods.hpp"
#include "../support/system_calls.hpp"

namespace pitfalls_test {

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

int square(int n) { return n * n; }

auto threads_of_this_process() {
  std::filesystem::directory_iterator const tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEMPLATE_TEST_CASE("start returns in the parent alone", "[pitfalls]", ByFork, BySpawn,
                   ByForkServer) {
  support::Pipe went_on;
  for (int i = 0; i < 3; ++i) {
    auto process = TestType::started([] {});
    went_on.tell();  // whoever is here
    process.join();
  }
  CHECK(went_on.drain().size() == 3);
}

TEST_CASE("what the parent has buffered is written once", "[pitfalls]") {
  support::Pipe pipe;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(pipe.writer.release(), "w"),
                                                      &std::fclose);
  REQUIRE(out != nullptr);
  std::fputs("once", out.get());
  CHECK(ByFork::run([] {}).exitcode() == 0);
  out.reset();
  CHECK(pipe.drain() == "once");
}

template <class T>
concept ChangedInTwoSteps = requires(T value) {
  value.value() += 1;
}
|| requires(T value) { value += 1; }
|| requires(T value) { ++value; };

TEST_CASE("a value is not read and written in two steps by mistake", "[pitfalls]") {
  STATIC_REQUIRE_FALSE(ChangedInTwoSteps<mp::Value<int>>);
  STATIC_REQUIRE_FALSE(ChangedInTwoSteps<mp::RawValue<int>>);
}

TEST_CASE("two locks at once are taken in any order without a deadlock", "[pitfalls][stress]") {
  mp::Lock const one;
  mp::Lock const other;
  mp::RawValue<int> const count(0);
  auto const take = [count](mp::Lock const& first, mp::Lock const& second) {
    for (int i = 0; i < 2000; ++i) {
      std::scoped_lock const both(first, second);
      *count += 1;
    }
  };
  auto left = ByFork::started(take, one, other);
  auto right = ByFork::started(take, other, one);
  left.join();
  right.join();
  CHECK(*count == 4000);
}

TEST_CASE("who can not have a lock in time gives up", "[pitfalls]") {
  using namespace std::chrono_literals;
  mp::Lock const lock;
  std::scoped_lock const guard(lock);
  auto const code_of = [&](auto const& attempt) { return ByFork::run(attempt).exitcode(); };
  CHECK(code_of([lock] { mp::exit(lock.try_acquire() ? 1 : 0); }) == 0);
  CHECK(code_of([lock] { mp::exit(lock.try_acquire_for(1ms) ? 1 : 0); }) == 0);
}

TEST_CASE("messages that nobody sleeps for make next to no system calls", "[pitfalls]") {
  mp::Queue<int> const queue;
  auto const ends = mp::Pipe<std::array<char, 64>>();
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 1000; ++i) {
            queue.put(i);
            static_cast<void>(queue.get());
            ends.first.send({});
            static_cast<void>(ends.second.recv());
          }
        }) < 20);  // now and then for memory
}

TEST_CASE("processes, queues, pools and managers start no thread", "[pitfalls]") {
  auto const before = threads_of_this_process();
  mp::Queue<int> const queue;
  auto process = ByFork::started([queue] { queue.put(1); });
  CHECK(queue.get() == 1);
  mp::Pool pool(2);
  CHECK(pool.map(square, std::vector{1, 2}) == std::vector{1, 4});
  CHECK(pool.apply_async(square, 3).get() == 9);
  mp::Manager const manager;
  CHECK(manager.list<int>({1}).size() == 1);
  CHECK(threads_of_this_process() == before);
  process.join();
}

std::mutex ordinary;  // of each process

template <class By>
bool is_free_there() {
  mp::Value<int> const is_free(-1);
  By::run([](mp::Value<int> const& found) { found = ordinary.try_lock() ? 1 : 0; }, is_free);
  return is_free.value() == 1;
}

TEST_CASE("what another thread has locked is taken in a forked process, and free in others",
          "[pitfalls]") {
  support::Pipe locked;
  support::Pipe let_go;
  std::thread holder([&] {
    std::scoped_lock const guard(ordinary);
    locked.tell();
    static_cast<void>(let_go.hear());
  });
  CHECK(locked.hear() == '.');
  CHECK_FALSE(is_free_there<ByFork>());
  CHECK(is_free_there<BySpawn>());
  CHECK(is_free_there<ByForkServer>());
  let_go.tell();
  holder.join();
}

}  // namespace pitfalls_test
