// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/postponed_tasks.hpp>

#include <chrono>

#include "../support/catch.hpp"

namespace postponed_tasks_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::work;
using namespace std::chrono_literals;

TEST_CASE("each wait is twice as long as the one before, up to a minute", "[postponed_tasks]") {
  CHECK(backoff(100ms, 0) == 100ms);
  CHECK(backoff(100ms, 1) == 200ms);
  CHECK(backoff(100ms, 3) == 800ms);
  CHECK(backoff(100ms, 20) == 1min);
  CHECK(backoff(1ms, 65'535) == 1min);
  CHECK(backoff(0ms, 5) == 0ms);
}

TEST_CASE("a first wait of more than a minute stays as it is", "[postponed_tasks]") {
  CHECK(backoff(1h, 0) == 1h);
  CHECK(backoff(1h, 7) == 1h);
  CHECK(backoff(std::chrono::milliseconds(UINT32_MAX), 65'535).count() == UINT32_MAX);
}

TEST_CASE("what is due is taken in the order of its time, and nothing else", "[postponed_tasks]") {
  PostponedTasks postponed;
  CHECK(postponed.empty());
  CHECK(postponed.next().is_never());
  auto const now = Deadline::Clock::now();
  postponed.add({1, 30}, Deadline::at(now + 1h));
  postponed.add({1, 20}, Deadline::at(now - 1ms));
  postponed.add({1, 10}, Deadline::at(now - 2ms));
  CHECK(postponed.next().time() == now - 2ms);
  CHECK(postponed.take_due() == TaskId{1, 10});
  CHECK(postponed.take_due() == TaskId{1, 20});
  CHECK(postponed.take_due() == std::nullopt);
  CHECK(postponed.next().time() == now + 1h);
  CHECK(!postponed.empty());
}

}  // namespace postponed_tasks_test
