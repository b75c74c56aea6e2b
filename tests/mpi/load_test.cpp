// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/load.hpp>

#include <chrono>
#include <cstdint>

#include "../support/catch.hpp"

namespace load_test {

using multiprocessing::mpi::Load;
using namespace std::chrono_literals;

namespace {

/// A rank that has as much as it should, and does `count` tasks in `time`, again and again.
struct Worked {
  Load load;
  Load::Clock::time_point now{1h};

  explicit Worked(std::uint32_t workers) : load(workers) { fill(); }
  void fill(std::uint64_t bytes = 8) {
    while (load.room() != 0) load.add(bytes, now);
  }
  void work(std::uint32_t count, Load::Clock::duration time) {
    now += time;
    for (std::uint32_t i = 0; i < count; ++i) load.remove(8);
    load.note_done(count, now);
    fill();
  }
};

}  // namespace

TEST_CASE("a rank of which nothing is known gets one task more than it has workers", "[mpi]") {
  Load load(4);
  CHECK(load.room() == 5);
  CHECK(load.idle_workers() == 4);
  for (int i = 0; i < 5; ++i) load.add(0, {});
  CHECK(load.room() == 0);
  CHECK(load.idle_workers() == 0);
  CHECK(load.waiting_tasks() == 1);
}

TEST_CASE("a fast rank gets some milliseconds' work ahead, a slow one little", "[mpi]") {
  Worked fast(2);
  for (int i = 0; i < 10; ++i) fast.work(fast.load.tasks(), 1ms);
  CHECK(fast.load.tasks() > 1000);
  for (int i = 0; i < 20; ++i) fast.work(1, 10ms);
  while (fast.load.tasks() != 0) fast.load.remove(8);
  CHECK(fast.load.room() < 10);
  Worked slow(2);
  for (int i = 0; i < 10; ++i) slow.work(2, 50ms);
  CHECK(slow.load.tasks() == 3);
}

TEST_CASE("the work that lies ready at a rank is bounded in number and bytes", "[mpi]") {
  Worked fast(1);
  for (int i = 0; i < 50; ++i) fast.work(fast.load.tasks(), 1ms);
  CHECK(fast.load.tasks() <= 4096);
  Load large(2);
  constexpr std::uint64_t kMuch = std::uint64_t{1} << 30;
  large.add(kMuch, {});
  CHECK(large.room() != 0);  // a worker has nothing
  large.add(kMuch, {});
  CHECK(large.room() == 0);
  large.remove(kMuch);
  large.remove(kMuch);
  CHECK(large.tasks() == 0);
  CHECK(large.room() == 3);
}

TEST_CASE("a rank that was asked for work back gets less ahead", "[mpi]") {
  Worked rank(1);
  for (int i = 0; i < 10; ++i) rank.work(rank.load.tasks(), 1ms);
  auto const before = rank.load.tasks();
  rank.load.slow_down();
  for (std::uint32_t i = 0; i < before; ++i) rank.load.remove(8);
  CHECK(rank.load.room() < before);
}

}  // namespace load_test
