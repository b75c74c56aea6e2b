// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/context.hpp>

#include <unistd.h>

#include "support/catch.hpp"

namespace mp = multiprocessing;

namespace context_test {

int parent() { return ::getppid(); }

TEST_CASE("a context starts its way, and leaves the program's alone", "[context]") {
  for (auto const method : mp::get_all_start_methods()) {
    auto const context = mp::get_context(method);
    CHECK(context.get_start_method() == method);
    CHECK((context.call(parent) == ::getpid()) == (method != mp::StartMethod::forkserver));
    CHECK(context.call({.timeout = std::chrono::seconds(100)}, parent) > 0);
    auto process = context.process([](int code) { mp::exit(code); }, 3);
    process.start();
    process.join();
    CHECK(process.exitcode() == 3);
    auto named = context.process({.name = "W1"}, [] {});
    CHECK(named.name() == "W1");
  }
  CHECK(mp::get_start_method() == mp::StartMethod::fork);
  CHECK(mp::get_context().get_start_method() == mp::StartMethod::fork);
}

}  // namespace context_test
