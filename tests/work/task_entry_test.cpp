// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_entry.hpp>

#include "../support/catch.hpp"

namespace task_entry_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;

TEST_CASE("a task's name is one word, and comes back from it", "[task_entry]") {
  TaskId const id{UINT32_MAX, 7};
  CHECK(TaskId::unpack(id.pack()) == id);
  CHECK(!(TaskId::unpack(id.pack()) == TaskId{UINT32_MAX, 8}));
}

TEST_CASE("an input begins where all of it has room", "[task_entry]") {
  CHECK(TaskEntry::place_of_input(0) == 0);
  CHECK(TaskEntry::place_of_input(TaskEntry::kRoom) == 0);
  CHECK(TaskEntry::place_of_input(TaskEntry::kRoom + 1) == TaskEntry::kRoom);
}

TEST_CASE("a result begins behind the input that a later try would need, where it has room",
          "[task_entry]") {
  constexpr auto kHere = TaskEntry::kRoom;
  constexpr auto kThere = TaskAnnex::kRoom;
  CHECK(TaskEntry::place_of_result(kHere, 0) == 0);
  CHECK(TaskEntry::place_of_result(kHere - 5, 5) == 5);
  CHECK(TaskEntry::place_of_result(kHere - 4, 5) == kHere);
  CHECK(TaskEntry::place_of_result(kThere, kHere) == kHere);
  CHECK(TaskEntry::place_of_result(kHere, kHere + 1) == 0);  // the input is all in the annex
  CHECK(TaskEntry::place_of_result(kHere + 1, kHere + 1) == kHere + kHere + 1);
  CHECK(!TaskEntry::place_of_result(kThere + 1, 0));
  CHECK(!TaskEntry::place_of_result(kHere + 1, kThere));
}

TEST_CASE("a task may be run once more as often as it has retries, until it is to stop",
          "[task_entry]") {
  TaskEntry task;
  CHECK(!task.may_be_retried());
  task.retries = 2;
  CHECK(task.may_be_retried());
  task.failures = 2;
  CHECK(!task.may_be_retried());
  task.failures = 1;
  task.flags |= TaskEntry::kStop;
  CHECK(!task.may_be_retried());
}

TEST_CASE("what is worth another try is a matter of its own for each way to fail", "[task_entry]") {
  TaskEntry task;
  task.retries = 1;
  task.flags |= static_cast<std::uint8_t>(static_cast<unsigned>(mp::RetryOn::timeout)
                                          << TaskEntry::kRetryOnShift);
  CHECK(task.may_be_retried_after(mp::RetryOn::timeout));
  CHECK(!task.may_be_retried_after(mp::RetryOn::crash));
  CHECK(!task.may_be_retried_after(mp::RetryOn::exception));
  CHECK(!task.has_annex());  // a bit beside those
}

}  // namespace task_entry_test
