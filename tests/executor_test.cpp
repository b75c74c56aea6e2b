// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/executor.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/process_pool_executor.hpp>

#include "support/catch.hpp"
#include "support/executor_suite.hpp"
#include "support/helpers.hpp"
#include "support/tasks.hpp"

namespace executor_test {

namespace mp = multiprocessing;
using support::numbers;
using support::square;

// A part of an executor would be none.
static_assert(!std::is_move_constructible_v<mp::Executor>);
static_assert(!std::is_copy_constructible_v<mp::ProcessPoolExecutor>);
static_assert(std::is_nothrow_move_constructible_v<mp::ProcessPoolExecutor>);

namespace {

int sum_of_squares(mp::Executor& executor, int count) {
  int sum = 0;
  for (int x : executor.map({.chunksize = 3}, square, numbers(count))) sum += x;
  return sum;
}

struct Local {
  static mp::ProcessPoolExecutor make(int workers) { return mp::ProcessPoolExecutor(workers); }
  static int workers_of(mp::ProcessPoolExecutor const& executor) {
    return static_cast<int>(executor.worker_pids().size());
  }
  static mp::ProcessPoolExecutor make_small() {
    return mp::ProcessPoolExecutor({.max_workers = 1, .max_memory_per_task = 64u << 20});
  }
};

}  // namespace

TEST_CASE("a process pool executor does what executors do", "[executor]") {
  support::executor_suite::run<Local>();
}

TEST_CASE("a program may leave it to its caller which executor it uses", "[executor]") {
  mp::ProcessPoolExecutor executor(2);
  CHECK(sum_of_squares(executor, 5) == 30);
  mp::Executor& any = executor;
  auto const future = any.submit({.retries = 1}, square, 7);
  CHECK(future.result() == 49);
  any.shutdown();
  CHECK_THAT(support::message_of<mp::Error>([&] { any.submit(square, 1); }),
             ContainsSubstring("ProcessPoolExecutor.submit: cannot schedule"));
}

TEST_CASE("starmap takes items apart", "[executor]") {
  mp::ProcessPoolExecutor executor(2);
  std::vector<std::pair<std::string, int>> const items{{"a", 2}, {"bc", 3}};
  auto const repeat = [](std::string const& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  CHECK(executor.starmap(repeat, items).collect() == std::vector<std::string>{"aa", "bcbcbc"});
  CHECK(executor.starmap({.chunksize = 2, .buffersize = 1}, repeat, items).next() == "aa");
}

}  // namespace executor_test
