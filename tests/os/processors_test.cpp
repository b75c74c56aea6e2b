// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/os/processors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace processors_test {

namespace os = multiprocessing::os;

TEST_CASE("usable processors follow the affinity mask, logical ones do not", "[processors]") {
  CHECK(os::usable_processors() >= 1);
  CHECK(os::usable_processors() <= os::logical_processors());
  support::RawChild child([] {
    int const before = os::logical_processors();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return os::usable_processors() == 1 && os::logical_processors() == before ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a thread that may run on one processor is told that it runs there", "[processors]") {
  support::RawChild child([] {
    cpu_set_t all;
    CPU_ZERO(&all);
    ::sched_getaffinity(0, sizeof all, &all);
    for (int number = 0; number < os::logical_processors(); ++number) {
      if (!CPU_ISSET(static_cast<unsigned>(number), &all)) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(number), &one);
      ::sched_setaffinity(0, sizeof one, &one);
      if (os::this_processor() != number) return 1;
    }
    return 0;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a line that is brought here keeps what is in it", "[processors]") {
  int value = 5;
  os::prefetch_for_writing(&value);
  os::prefetch_for_writing(nullptr);
  CHECK(value == 5);
}

}  // namespace processors_test
