// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/worker_setup.hpp>

#include <system_error>

#include <multiprocessing/os/processors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace worker_setup_test {

using multiprocessing::work::WorkerSetup;

TEST_CASE("a process that nothing was said of stays as it is", "[worker_setup]") {
  support::RawChild child([] {
    int const before = ::getpriority(PRIO_PROCESS, 0);
    WorkerSetup::of({}, {}).apply(1);
    return ::getpriority(PRIO_PROCESS, 0) == before ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a process is set up as was said", "[worker_setup]") {
  support::RawChild child([] {
    WorkerSetup::of({::sched_getcpu()}, 19).apply(1);
    bool const is_so =
        multiprocessing::os::usable_processors() == 1 && ::getpriority(PRIO_PROCESS, 0) == 19;
    return is_so ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("what the system refuses is told", "[worker_setup]") {
  CHECK_THROWS_AS(WorkerSetup::of({CPU_SETSIZE}, {}), std::system_error);
  CHECK_THROWS_AS(WorkerSetup::of({CPU_SETSIZE - 1}, {}).apply(1), std::system_error);
}

}  // namespace worker_setup_test
