// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/worker_death.hpp>

#include <csignal>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace worker_death_test {

namespace mp = multiprocessing;
using multiprocessing::work::WorkerDeath;

namespace {
constexpr std::uint64_t kMiB = 1 << 20;

WorkerDeath crash() {
  WorkerDeath death{12, CLD_KILLED, SIGSEGV, 34 * kMiB, SIGSEGV};
  death.details.fault_address = 0x10;
  death.details.backtrace = {"inner (a.out+0x1)", "outer (a.out+0x2)"};
  return death;
}
}  // namespace

TEST_CASE("a death in a line tells all but the callers", "[worker_death]") {
  CHECK(crash().line() ==
        "worker process 12 was killed by SIGSEGV (segmentation fault) at address 0x10 in inner "
        "(a.out+0x1); its peak memory was 34 MiB");
  CHECK(WorkerDeath{12, CLD_KILLED, SIGKILL, 2 * kMiB}.line() ==
        "worker process 12 was killed by SIGKILL; its peak memory was 2 MiB");
  CHECK(WorkerDeath{12, CLD_EXITED, 3}.line() == "worker process 12 exited with code 3");
  CHECK(WorkerDeath{12}.status().unknown());
}

TEST_CASE("a death as an exception tells all, in the text and in members", "[worker_death]") {
  try {
    mp::work::throw_worker_died("Pool.map, item 3 of 10", crash(), "; and more");
    FAIL("nothing");
  } catch (mp::WorkerDied const& error) {
    CHECK(error.what() ==
          std::string("Pool.map, item 3 of 10: worker process 12 was killed by SIGSEGV "
                      "(segmentation fault) at address 0x10 while it ran it; and more; its peak "
                      "memory was 34 MiB\n    inner (a.out+0x1)\n    outer (a.out+0x2)"));
    CHECK(error.pid() == 12);
    CHECK(error.signal() == SIGSEGV);
    CHECK(error.fault_address() == std::uintptr_t{0x10});
    CHECK(error.backtrace().size() == 2);
    CHECK(error.peak_memory() == 34 * kMiB);
  }
}

TEST_CASE("what is not known of a death is not told", "[worker_death]") {
  try {
    mp::work::throw_worker_died("Pool.apply", {12, CLD_EXITED, 3});
    FAIL("nothing");
  } catch (mp::WorkerDied const& error) {
    CHECK(error.what() ==
          std::string("Pool.apply: worker process 12 exited with code 3 while it ran it"));
    CHECK(error.exitcode() == 3);
    CHECK_FALSE(error.fault_address());
    CHECK(error.backtrace().empty());
    CHECK_FALSE(error.peak_memory());
  }
}

}  // namespace worker_death_test
