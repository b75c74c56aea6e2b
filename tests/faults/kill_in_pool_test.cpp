// SPDX-License-Identifier: BSL-1.0
// SIGKILL of a pool's worker at each moment, see support/scenes.hpp, of claiming, running and
// settling a task: it is done, or lost and says so, or is run once more; those behind it are done;
// and no memory stays behind.
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include <multiprocessing/value.hpp>
#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"
#include "../support/task_table.hpp"
#include "../support/tasks.hpp"

namespace kill_in_pool_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using support::used_blocks;
using Phase = ChunkWord::Phase;

namespace {

std::string twice(std::string const& text) { return text + text; }
int count(mp::RawValue<int> const& runs) {
  runs = runs.value() + 1;
  return runs.value();
}

int square_of_seven(TaskGroup const& group) {
  group.wait_until(base::Deadline::never());
  return collect_one<int>(group);
}

struct Outcomes {
  long settled = 0;
  long lost = 0;
};

/// Kills the only worker of a crew at every step of the task that `submit(crew)` submits.
/// `check(group)`: it is done, or has failed.
template <class Submit, class Check>
Outcomes kill_worker_at_every_step(long usual_stride, Submit const& submit, Check const& check) {
  Outcomes outcomes;
  auto const play = [&](auto const& run) {
    auto const before = used_blocks();
    auto crew = std::make_shared<Crew>(Crew::Options{.workers = 1});
    auto const with_crew = used_blocks();
    pid_t const victim = crew->worker_pids("test").at(0);
    auto first = submit(crew);  // its code is found, which takes many steps
    first->wait_until(base::Deadline::never());
    support::wait_until_asleep(victim);
    support::Stepper stepper(victim);
    auto group = submit(crew);
    auto behind = submit_call(crew, "test", {.retries = 1}, &support::square, 7);
    bool const result = run(stepper, victim);
    stepper.kill();
    group->wait_until(base::Deadline::never());
    REQUIRE(group->settled());
    if (group->phase(0) == Phase::Lost) {
      ++outcomes.lost;
      try {
        static_cast<void>(group->result(0));
        FAIL("it is lost, and says nothing");
      } catch (mp::WorkerDied const& error) {
        REQUIRE(error.pid() == victim);
        REQUIRE(error.signal() == SIGKILL);
      }
    } else {
      ++outcomes.settled;
      check(*group);
    }
    REQUIRE(square_of_seven(*behind) == 49);
    REQUIRE(square_of_seven(*submit_call(crew, "test", {}, &support::square, 7)) == 49);
    first.reset();
    group.reset();
    behind.reset();
    REQUIRE(used_blocks() == with_crew);
    crew->close("test");
    crew->join("test");
    crew.reset();
    REQUIRE(used_blocks() == before);
    return result;
  };
  // Once before: what is made at its first use, is made.
  play([](support::Stepper& stepper, pid_t) { return stepper.step(1) == 1; });
  // One that has not woken yet looks as one that sleeps again, and the loop ends there: once more.
  long moments = 0;
  for (int i = 0; i < 20 && moments <= 1; ++i) {
    moments = support::for_every_change(support::stride(usual_stride), play);
  }
  CHECK(moments > 1);
  return outcomes;
}

}  // namespace

TEST_CASE("a task is run in its entry: killed at every step, it is done or lost", "[faults]") {
  auto const outcomes = kill_worker_at_every_step(
      1, [](auto const& crew) { return submit_call(crew, "test", {}, &support::square, 5); },
      [](TaskGroup const& group) { REQUIRE(collect_one<int>(group) == 25); });
  CHECK(outcomes.settled > 0);
}

TEST_CASE("a task is run with an annex for its result: killed at every step, it is done or lost",
          "[faults]") {
  std::string const small = "0123456789";  // twice as much does not fit its entry
  auto const outcomes = kill_worker_at_every_step(
      2, [&](auto const& crew) { return submit_call(crew, "test", {}, &twice, small); },
      [&](TaskGroup const& group) { REQUIRE(collect_one<std::string>(group) == small + small); });
  CHECK(outcomes.settled > 0);
  CHECK(outcomes.lost > 0);
}

TEST_CASE("a task is run with blocks: killed at every step, it is done or lost", "[faults]") {
  std::string const large(1000, 'x');
  auto const outcomes = kill_worker_at_every_step(
      5, [&](auto const& crew) { return submit_call(crew, "test", {}, &twice, large); },
      [&](TaskGroup const& group) { REQUIRE(collect_one<std::string>(group) == large + large); });
  CHECK(outcomes.settled > 0);
  CHECK(outcomes.lost > 0);
}

TEST_CASE("a task that may be run once more is done, at whichever step its worker is killed",
          "[faults]") {
  std::string const small(30, 'x');  // input and result do not both fit its entry
  auto const outcomes = kill_worker_at_every_step(
      2, [&](auto const& crew) { return submit_call(crew, "test", {.retries = 1}, &twice, small); },
      [&](TaskGroup const& group) { REQUIRE(collect_one<std::string>(group) == small + small); });
  CHECK(outcomes.lost == 0);
}

TEST_CASE("a task with a shared object is run once or twice: killed at every step", "[faults]") {
  mp::RawValue<int> const runs(0);
  auto const outcomes = kill_worker_at_every_step(
      3,
      [&](auto const& crew) {
        runs = 0;
        return submit_call(crew, "test", {.retries = 1}, &count, runs);
      },
      [&](TaskGroup const& group) {
        REQUIRE(collect_one<int>(group) == runs.value());
        REQUIRE(runs.value() >= 1);
        REQUIRE(runs.value() <= 2);
      });
  CHECK(outcomes.lost == 0);
}

TEST_CASE("a task is run by who has a time for it: killed at every step, it is done or lost",
          "[faults]") {
  kill_worker_at_every_step(
      2,
      [](auto const& crew) {
        return submit_call(crew, "test", {.timeout_ms = 1'000'000}, &support::square, 5);
      },
      [](TaskGroup const& group) { REQUIRE(collect_one<int>(group) == 25); });
}

}  // namespace kill_in_pool_test
