// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/start_method.hpp>

#include <sstream>

#include "../support/catch.hpp"

namespace start_method_test {

namespace mp = multiprocessing;

TEST_CASE("start methods have Python's names", "[start_method]") {
  std::ostringstream out;
  out << mp::StartMethod::fork << ' ' << mp::StartMethod::spawn << ' '
      << mp::StartMethod::forkserver;
  CHECK(out.str() == "fork spawn forkserver");
}

TEST_CASE("a method is chosen once, or fixed by who asks", "[start_method]") {
  mp::launch::DefaultMethod chosen;
  CHECK(chosen.choose(mp::StartMethod::spawn));
  CHECK_FALSE(chosen.choose(mp::StartMethod::fork));
  CHECK(chosen.get() == mp::StartMethod::spawn);
  chosen.force(mp::StartMethod::forkserver);
  CHECK(chosen.get() == mp::StartMethod::forkserver);
  mp::launch::DefaultMethod asked;
  CHECK(asked.get() == mp::StartMethod::fork);
  CHECK_FALSE(asked.choose(mp::StartMethod::spawn));
}

}  // namespace start_method_test
