// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/os/processors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

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
