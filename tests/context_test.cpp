// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/context.hpp>

#include <unistd.h>

#include <chrono>
#include <vector>

#include "support/catch.hpp"

namespace mp = multiprocessing;

namespace context_test {

int parent() { return ::getppid(); }

TEST_CASE("a context starts its way, and leaves the program's alone", "[context]") {
  auto const of_program = mp::get_start_method();
  for (auto const method : mp::get_all_start_methods()) {
    auto const context = mp::get_context(method);
    CHECK(context.get_start_method() == method);
    CHECK((context.call(parent) == ::getpid()) == (method != mp::StartMethod::forkserver));
    CHECK(context.call({.timeout = std::chrono::seconds(100)}, parent) > 0);
    auto process = context.process([](int code) { mp::exit(code); }, 3);
    process.start();
    process.join();
    CHECK(process.exitcode() == 3);
    auto pool = context.pool(2);
    CHECK(pool.start_method() == method);
    CHECK(pool.map([](int x) { return x * x; }, std::vector{1, 2, 3}) == std::vector{1, 4, 9});
    CHECK(context.pool({.processes = 1}).worker_pids().size() == 1);
    auto named = context.process({.name = "W1"}, [] {});
    CHECK(named.name() == "W1");
  }
  CHECK(mp::get_start_method() == of_program);
  CHECK(mp::get_context().get_start_method() == of_program);
}

}  // namespace context_test
