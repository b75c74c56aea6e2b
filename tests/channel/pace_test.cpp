// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/pace.hpp>

#include "../support/catch.hpp"

namespace pace_test {

using multiprocessing::channel::Pace;

TEST_CASE("how many messages went in a row is told once", "[pace]") {
  Pace pace;
  CHECK(pace.take_run() == 0);
  for (int i = 0; i < 5; ++i) pace.note();
  CHECK(pace.take_run() == 5);
  CHECK(pace.take_run() == 0);
}

TEST_CASE("where the last message went is not known before there was one", "[pace]") {
  Pace pace;
  CHECK(pace.processor() == multiprocessing::sync::AdaptiveSpin::kAnywhere);
  pace.note();
  CHECK(pace.processor() >= 0);
}

}  // namespace pace_test
