// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/scope_guard.hpp>

#include <stdexcept>

#include "../support/catch.hpp"

namespace scope_guard_test {

using multiprocessing::base::ScopeGuard;

TEST_CASE("a scope guard runs once, also when the scope is left by an exception", "[scope_guard]") {
  int runs = 0;
  try {
    ScopeGuard const guard([&] { ++runs; });
    throw std::runtime_error("");
  } catch (std::runtime_error const&) {
  }
  CHECK(runs == 1);
}

TEST_CASE("a dismissed scope guard does nothing", "[scope_guard]") {
  int runs = 0;
  {
    ScopeGuard guard([&] { ++runs; });
    guard.dismiss();
  }
  CHECK(runs == 0);
}

}  // namespace scope_guard_test
