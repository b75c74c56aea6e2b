// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/worker_account.hpp>

#include "../support/catch.hpp"

namespace worker_account_test {

using namespace multiprocessing::work;

TEST_CASE("an account tells what a worker is at, and what it has done", "[worker_account]") {
  WorkerAccount account;
  CHECK(account.begun == 0);
  auto const before = multiprocessing::os::coarse_monotonic_time();
  account.begin();
  CHECK(account.begun >= before);
  CHECK(account.begun <= multiprocessing::os::coarse_monotonic_time());
  account.end();
  CHECK(account.begun == 0);
  CHECK(account.done == 1);
}

TEST_CASE("a worker's successor goes on with its account", "[worker_account]") {
  WorkerAccount account;
  account.start();
  account.begin();
  account.end();
  account.begin();
  account.end_of_worker();
  CHECK(account.begun == 0);
  account.start();
  CHECK(account.lives == 2);
  account.begin();
  account.end();
  CHECK(account.done == 2);
}

}  // namespace worker_account_test
