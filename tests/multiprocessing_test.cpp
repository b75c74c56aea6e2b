// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing.hpp>

#include "support/catch.hpp"

TEST_CASE("one header brings everything", "[multiprocessing]") {
  namespace mp = multiprocessing;
  mp::Pool pool(1);
  CHECK(pool.map([](int x) { return x + 1; }, std::vector{1}) == std::vector{2});
  mp::Process process([] {});
  process.start();
  process.join();
  CHECK_THROWS_AS(mp::Pool(0), std::invalid_argument);
}
