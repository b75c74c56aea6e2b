// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/processors_share.hpp>

#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/pool.hpp>

#include "../support/catch.hpp"
#include "../support/tasks.hpp"

namespace processors_share_test {

namespace mp = multiprocessing;
using mp::work::share_among;

namespace {

int size_of_a_pool() { return static_cast<int>(mp::Pool().worker_pids().size()); }
int size_of_a_pool_in_a_pool() { return mp::Pool(1).apply(size_of_a_pool); }

}  // namespace

TEST_CASE("workers share the processors, and each has one", "[processors_share]") {
  CHECK(share_among(8, 2) == 4);
  CHECK(share_among(8, 3) == 2);
  CHECK(share_among(2, 5) == 1);
}

TEST_CASE("pools in pools do not multiply", "[processors_share]") {
  int const processors = mp::os::usable_processors();
  CHECK(size_of_a_pool() == processors);
  CHECK(mp::Pool().apply(size_of_a_pool) == 1);
  CHECK(mp::Pool(1).apply(size_of_a_pool) == processors);
  CHECK(mp::Pool().apply(size_of_a_pool_in_a_pool) == 1);
}

TEST_CASE("a pool in a worker has as many workers as it is told to", "[processors_share]") {
  auto const told = [] { return static_cast<int>(mp::Pool(3).worker_pids().size()); };
  CHECK(mp::Pool().apply(told) == 3);
}

}  // namespace processors_share_test
