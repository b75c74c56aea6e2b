// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/retried_tasks.hpp>

#include <cstdint>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/task_table.hpp"

namespace retried_tasks_test {

namespace mp = multiprocessing;
namespace os = multiprocessing::os;
using namespace multiprocessing::work;
using mp::RetryOn;
using support::Phase;

namespace {

struct Fixture {
  support::TaskTable table;
  RetriedTasks retried{table.segment(), table.board()};

  TaskId claimed(std::uint32_t backoff_ms = 0, RetryOn retry_on = RetryOn::crash) {
    TaskDraft draft;
    draft.terms = {.retries = 2, .retry_on = retry_on, .backoff_ms = backoff_ms};
    auto const id = table.book().publish(draft);
    table.claim(0);
    return id;
  }
  static ChunkWord word(TaskId id) { return {id.generation, 0, Phase::Claimed}; }
};

}  // namespace

TEST_CASE("a task without backoff is claimed once more at once", "[retried_tasks]") {
  Fixture own;
  auto const id = own.claimed();
  CHECK(own.retried.retry(id, Fixture::word(id)));
  CHECK(own.table.entry(id).failures == 1);
  CHECK_FALSE(own.retried.has_postponed());
  CHECK(own.table.claim(1) == id);
}

TEST_CASE("a task with backoff waits for its time", "[retried_tasks]") {
  Fixture own;
  auto const id = own.claimed(1);
  CHECK(own.retried.retry(id, Fixture::word(id)));
  CHECK(own.retried.has_postponed());
  CHECK_FALSE(own.table.claim(1).has_value());
  os::poll_until({}, own.retried.next());
  own.retried.publish_due();
  CHECK_FALSE(own.retried.has_postponed());
  CHECK(own.table.claim(1) == id);
}

TEST_CASE("a task that nobody has begun is put back without a failure", "[retried_tasks]") {
  Fixture own;
  auto const id = own.claimed(60'000);
  CHECK(own.retried.put_back(id, Fixture::word(id)));
  CHECK(own.table.entry(id).failures == 0);
  CHECK(own.table.claim(1) == id);
}

TEST_CASE("a task's terms say after what it is run once more, and how often", "[retried_tasks]") {
  Fixture own;
  auto const id = own.claimed(0, RetryOn::timeout | RetryOn::exception);
  CHECK_FALSE(own.retried.retry_after(RetryOn::crash, id, Fixture::word(id)));
  CHECK_FALSE(own.retried.retry_after(RetryOn(), id, Fixture::word(id)));
  CHECK(own.table.phase(id) == Phase::Claimed);
  for (auto const what : {RetryOn::exception, RetryOn::timeout}) {
    CHECK(own.retried.retry_after(what, id, Fixture::word(id)));
    CHECK(own.table.claim(0) == id);
  }
  CHECK_FALSE(own.retried.retry_after(RetryOn::timeout, id, Fixture::word(id)));
  auto const poison = own.claimed();
  own.table.board().quarantine_after = 2;
  CHECK(own.retried.retry_after(RetryOn::crash, poison, Fixture::word(poison)));
  CHECK(own.table.claim(0) == poison);
  CHECK_FALSE(own.retried.retry_after(RetryOn::crash, poison, Fixture::word(poison)));
}

TEST_CASE("a task that was given up is not run once more", "[retried_tasks]") {
  Fixture own;
  auto const given_up = own.claimed();
  own.table.settle(given_up, 0, Phase::Dropped);
  CHECK_FALSE(own.retried.retry(given_up, Fixture::word(given_up)));
  auto const later = own.claimed(60'000);
  CHECK(own.retried.retry(later, Fixture::word(later)));
  own.table.tasks().settle(own.table.entry(later), {later.generation, 0, Phase::Free},
                           Phase::Dropped);
  CHECK_FALSE(own.retried.has_postponed());
  CHECK_FALSE(own.table.claim(1).has_value());
}

}  // namespace retried_tasks_test
