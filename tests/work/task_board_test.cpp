// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_board.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"

namespace task_board_test {

using namespace multiprocessing::work;
namespace base = multiprocessing::base;
using support::TaskTable;
using Phase = ChunkWord::Phase;

TEST_CASE("a task's name is the same after it was packed", "[task_board]") {
  TaskId const id{0xfedcba98, 0x01234567};
  CHECK(TaskId::unpack(id.pack()) == id);
  CHECK(TaskId::unpack(0).generation == 0);  // a page that names none
}

TEST_CASE("tasks are claimed in their order, each by one worker, whose page names it",
          "[task_board]") {
  TaskTable table;
  CHECK_FALSE(table.claim(0));
  CHECK_FALSE(table.tasks().has_work());
  std::vector<TaskId> const ids{table.publish(), table.publish(), table.publish()};
  for (WorkerNumber worker = 5; worker < 8; ++worker) {
    CHECK(table.tasks().has_work());
    auto const expected = ids[worker - 5U];
    CHECK(table.claim(worker) == expected);
    CHECK(table.entry(expected).read().worker == worker);
    CHECK(table.phase(expected) == Phase::Claimed);
    CHECK(table.page(worker) == expected.pack());
  }
  CHECK_FALSE(table.tasks().has_work());
  CHECK_FALSE(table.claim(0));
}

TEST_CASE("what a worker does not get, its page names all the same: it was written before",
          "[task_board]") {
  TaskTable table;
  auto const id = table.publish();
  REQUIRE(table.claim(1));
  table.tasks().submitted.cursor = 0;  // as one has read it that was kept from running since
  CHECK_FALSE(table.claim(2));
  CHECK(table.page(2) == id.pack());
  CHECK(table.entry(id).read().worker == 1);
}

TEST_CASE("a claimer of a task that died before it moved the cursor holds up nobody",
          "[task_board]") {
  TaskTable table;
  auto const first = table.publish();
  auto const second = table.publish();
  table.entry(first).word = ChunkWord{first.generation, 9, Phase::Claimed}.pack();
  CHECK(table.claim(1) == second);
  CHECK(table.tasks().submitted.cursor == 2);
}

TEST_CASE("a name in the ring whose entry is another task's by now gives nothing", "[task_board]") {
  TaskTable table;
  auto const old = table.publish();
  table.entry(old).word = ChunkWord{old.generation + 1, 0, Phase::Free}.pack();
  CHECK_FALSE(table.claim(3));
  CHECK(table.phase(old) == Phase::Free);
  CHECK_FALSE(table.tasks().has_work());
}

TEST_CASE("what is to be run once more comes first", "[task_board]") {
  TaskTable table;
  auto const died = table.publish();
  auto const waits = table.publish();
  REQUIRE(table.claim(0) == died);
  table.free_again(died);
  CHECK(table.claim(1) == died);
  CHECK(table.claim(1) == waits);
  CHECK_FALSE(table.claim(1));
}

TEST_CASE("a task that is named in both rings is claimed once", "[task_board]") {
  TaskTable table;
  auto const id = table.publish();
  // as a worker leaves it that is killed right behind its compare-and-swap, and the nursery then
  table.free_again(id);
  CHECK(table.claim(1) == id);
  CHECK_FALSE(table.claim(2));
  CHECK_FALSE(table.tasks().has_work());
}

TEST_CASE("the cursor goes past what is not to be claimed, and stays at what is", "[task_board]") {
  TaskTable table;
  auto const given_up = table.publish();
  auto const claimed = table.publish();
  table.publish();
  auto& tasks = table.tasks();
  CHECK(tasks.settle(table.entry(given_up), {given_up.generation, 0, Phase::Free}, Phase::Dropped));
  table.entry(claimed).word = ChunkWord{claimed.generation, 4, Phase::Claimed}.pack();
  tasks.skip_settled(table.segment(), tasks.submitted);
  CHECK(tasks.submitted.cursor == 2);
  tasks.skip_settled(table.segment(), tasks.submitted);
  CHECK(tasks.submitted.cursor == 2);
  tasks.skip_settled(table.segment(), tasks.retried);
  CHECK(tasks.retried.cursor == 0);
}

TEST_CASE("a task settles from the phase that is expected, and once", "[task_board]") {
  TaskTable table;
  auto const id = table.publish();
  REQUIRE(table.claim(3) == id);
  auto& tasks = table.tasks();
  auto& task = table.entry(id);
  CHECK_FALSE(tasks.settle(task, {id.generation, 0, Phase::Free}, Phase::Dropped));
  CHECK_FALSE(tasks.settle(task, {id.generation, 4, Phase::Claimed}, Phase::Lost));
  CHECK_FALSE(tasks.settle(task, {id.generation + 1, 3, Phase::Claimed}, Phase::Done));
  CHECK(table.phase(id) == Phase::Claimed);
  CHECK(table.settle(id, 3));
  CHECK_FALSE(table.settle(id, 3));
  CHECK(table.phase(id) == Phase::Done);
  CHECK(task.read().worker == 3);
}

TEST_CASE("the news tell of a task that asks for that, and of no other", "[task_board]") {
  TaskTable table;
  auto const quiet = table.publish();
  auto draft = TaskDraft::of(0, {}, {});
  draft.terms.tells_all = true;
  auto const loud = table.book().publish(draft);
  REQUIRE(table.claim(0) == quiet);
  REQUIRE(table.claim(0) == loud);
  table.settle(quiet, 0);
  CHECK(table.tasks().told == 0);
  table.settle(loud, 0);
  CHECK(table.tasks().told == 1);
  CHECK_FALSE(table.settle(loud, 0));
  CHECK(table.tasks().told == 1);
}

TEST_CASE("who waits for a task is woken by its settling", "[task_board]") {
  TaskTable table;
  auto const id = table.publish();
  REQUIRE(table.claim(0));
  auto& task = table.entry(id);
  std::atomic<pid_t> waiting{0};
  std::thread waiter([&] {
    multiprocessing::sync::AdaptiveSpin spin;
    waiting = ::gettid();
    static_cast<void>(
        task.settled.await([&] { return task.read().settled(); }, base::Deadline::never(), spin));
  });
  while (waiting == 0) std::this_thread::yield();
  support::wait_for_state_in("/proc/self/task/" + std::to_string(waiting), "S");
  table.settle(id, 0);
  waiter.join();
  CHECK(table.phase(id) == Phase::Done);
}

TEST_CASE("workers run every task once while its entry is used again and again",
          "[task_board][threads][stress]") {
  TaskTable table(16);
  constexpr WorkerNumber kWorkers = 3;
  auto const rounds =
      static_cast<std::uint64_t>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000) / 4);
  auto& tasks = table.tasks();
  auto& board = table.board();
  std::atomic<std::uint64_t> runs{0};
  std::atomic<bool> closing{false};
  std::vector<std::thread> workers;
  for (WorkerNumber number = 0; number < kWorkers; ++number) {
    workers.emplace_back([&, number] {
      multiprocessing::sync::AdaptiveSpin spin;
      bool was_idle = false;
      for (;;) {
        bool const is_last = closing;
        if (auto const id = table.claim(number)) {
          ++runs;
          if (std::exchange(was_idle, false)) {
            board.idle.has_found(tasks.searcher, number, [&] { return tasks.has_work(); });
          }
          if (!table.settle(*id, number)) std::abort();
        } else if (is_last) {
          return;
        } else {
          board.idle.await(
              tasks.searcher, number, [&] { return closing || tasks.has_work(); }, spin);
          was_idle = true;
        }
      }
    });
  }
  multiprocessing::sync::AdaptiveSpin spin;
  std::vector<TaskId> ids(7);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (auto& id : ids) {
      id = table.publish();
      board.idle.wake_one(tasks.searcher);
    }
    for (auto const id : ids) {
      auto& task = table.entry(id);
      static_cast<void>(
          task.settled.await([&] { return task.read().settled(); }, base::Deadline::never(), spin));
      if (task.read().generation != id.generation) std::abort();
      table.book().release(id);
    }
  }
  closing = true;
  board.idle.wake_everybody();
  for (auto& worker : workers) worker.join();
  CHECK(runs == rounds * ids.size());
}

}  // namespace task_board_test
