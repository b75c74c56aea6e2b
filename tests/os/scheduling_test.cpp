// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/scheduling.hpp>

#include <system_error>

#include <multiprocessing/os/processors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace scheduling_test {

namespace os = multiprocessing::os;

TEST_CASE("a process runs where it is told to", "[scheduling]") {
  support::RawChild child([] {
    os::run_on(os::processor_set({::sched_getcpu()}));
    return os::usable_processors() == 1 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a process is as nice as it is told to be", "[scheduling]") {
  support::RawChild child([] {
    os::set_nice(7);
    return ::getpriority(PRIO_PROCESS, 0) == 7 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("processors that are not there are named", "[scheduling]") {
  using Error = std::system_error;
  CHECK_THAT(support::message_of<Error>([] {
               os::processor_set({0, CPU_SETSIZE});
             }),
             ContainsSubstring("sched_setaffinity(1024)"));
  CHECK_THAT(support::message_of<Error>([] {
               os::run_on(os::processor_set({1022, 1023}));
             }),
             ContainsSubstring("sched_setaffinity(1022,1023)"));
}

}  // namespace scheduling_test
