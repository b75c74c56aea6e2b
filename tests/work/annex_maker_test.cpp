// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/annex_maker.hpp>

#include <cstdint>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/system_calls.hpp"
#include "../support/task_table.hpp"

namespace annex_maker_test {

using namespace multiprocessing::work;

TEST_CASE("a task has one annex, whoever makes it", "[annex_maker]") {
  support::TaskTable table;
  auto& task = table.entry(table.publish());
  CHECK_FALSE(task.has_annex());
  auto& annex = AnnexMaker().annex_of(table.segment(), table.tasks(), task);
  CHECK(task.has_annex());
  annex.grace_ms = 7;
  CHECK(&AnnexMaker().annex_of(table.segment(), table.tasks(), task) == &annex);
  CHECK(annex.grace_ms == 7);
}

TEST_CASE("neighbours get their memory by one system call", "[annex_maker]") {
  if (support::kSanitized) return;  // its allocator asks for blocks
  constexpr std::uint64_t kTasks = 64;
  support::TaskTable table(kTasks);
  std::vector<TaskEntry*> tasks;
  for (std::uint64_t i = 0; i < kTasks; ++i) tasks.push_back(&table.entry(table.publish()));
  auto const calls_for = [&](std::uint64_t count) {
    return support::system_calls_of([&] {
      AnnexMaker maker;
      for (std::uint64_t i = 0; i < count; ++i) {
        maker.annex_of(table.segment(), table.tasks(), *tasks[i]).grace_ms = 1;
      }
    });
  };
  constexpr std::uint64_t kNeighbours = 4096 / sizeof(TaskAnnex);
  CHECK(calls_for(kNeighbours) == calls_for(1));
  CHECK(calls_for(kNeighbours + 1) == calls_for(1) + 1);
}

}  // namespace annex_maker_test
