// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/crew_options.hpp>

#include <sched.h>
#include <sys/resource.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/process_pool_executor.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace crew_options_test {

namespace mp = multiprocessing;

namespace {

template <class Error = std::invalid_argument>
std::string refused(mp::PoolOptions const& options) {
  return support::message_of<Error>([&] { mp::Pool pool(options); });
}

int nice_value() { return ::getpriority(PRIO_PROCESS, 0); }
int processors() { return mp::os::usable_processors(); }
int some_processor() {
  cpu_set_t set;
  ::sched_getaffinity(0, sizeof set, &set);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &set)) ++cpu;
  return cpu;
}

}  // namespace

TEST_CASE("options that make no sense are refused by name and value", "[crew_options]") {
  CHECK(refused({.processes = 0}) == "Pool: processes must be 1 to 1024, not 0");
  CHECK(refused({.max_tasks_per_child = 0}) ==
        "Pool: max_tasks_per_child must be at least 1, not 0");
  CHECK(refused({.quarantine_after = 0}) == "Pool: quarantine_after must be at least 1, not 0");
  CHECK(refused({.restart_intensity = -1}) == "Pool: restart_intensity must be at least 0, not -1");
  CHECK_THAT(refused({.restart_period = std::chrono::seconds(0)}),
             ContainsSubstring("restart_period, in milliseconds, must be at least 1, not 0"));
  CHECK_THAT(refused<std::system_error>({.cpus = {-1}}),
             ContainsSubstring("sched_setaffinity(-1)"));
  CHECK(support::message_of<std::invalid_argument>([] {
          mp::ProcessPoolExecutor executor({.max_workers = 1025});
        }) == "ProcessPoolExecutor: max_workers must be 1 to 1024, not 1025");
}

TEST_CASE("workers run where they were told to, and as eagerly", "[crew_options]") {
  int const here = nice_value();
  mp::Pool pool({.processes = 2, .cpus = {some_processor()}, .nice = here + 3});
  for (int i = 0; i < 4; ++i) {
    CHECK(pool.apply(processors) == 1);
    CHECK(pool.apply(nice_value) == here + 3);
  }
  CHECK_THROWS_AS(pool.apply(support::kill_self, 1), mp::WorkerDied);
  CHECK(pool.apply(nice_value) == here + 3);  // also in the next one
  CHECK(nice_value() == here);
  mp::Pool others(1);
  CHECK(others.apply(nice_value) == here);
  CHECK(others.apply(processors) == processors());
}

TEST_CASE("a pool whose workers can not run where they were told to is broken", "[crew_options]") {
  mp::Pool pool({.processes = 1, .cpus = {CPU_SETSIZE - 1}});
  auto const text = support::message_of<mp::BrokenProcessPool>([&] {
    for (;;) pool.apply(support::square, 1);
  });
  CHECK_THAT(text, ContainsSubstring("sched_setaffinity(1023): Invalid argument"));
}

TEST_CASE("a task that has ended as many workers as it may is not run again", "[crew_options]") {
  mp::Pool pool({.processes = 1, .quarantine_after = 3});
  mp::Value<int> runs(0);
  auto const die = [](mp::Value<int> const& counted) {
    return support::kill_self(counted.update([](int& n) { return ++n; }));
  };
  auto const text = support::message_of<mp::WorkerDied>(
      [&] { pool.apply_async({.retries = 100}, die, runs).get(); });
  CHECK(runs.value() == 3);
  CHECK_THAT(text, ContainsSubstring("2 before it had died, too, so it is not run again"));
}

}  // namespace crew_options_test
