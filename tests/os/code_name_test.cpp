// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/code_name.hpp>

#include <cstdlib>
#include <memory>

#include "../support/catch.hpp"

namespace code_name_test {

int exported(double x) { return x > 0 ? 1 : 2; }

namespace os = multiprocessing::os;

namespace {
int hidden(double x) { return x > 0 ? 3 : 4; }

template <class Function>
std::uintptr_t inside(Function* function) {
  return reinterpret_cast<std::uintptr_t>(function) + 1;
}
}  // namespace

TEST_CASE("an exported function has its name, and the place in its module", "[code_name]") {
  CHECK_THAT(os::code_name(inside(&exported)),
             ContainsSubstring("code_name_test::exported(double) (") && ContainsSubstring("+0x"));
  CHECK_THAT(os::code_name(inside(&std::malloc)), ContainsSubstring("malloc"));
}

TEST_CASE("another function has the place in its module", "[code_name]") {
  auto const text = os::code_name(inside(&hidden));
  CHECK_THAT(text, ContainsSubstring("+0x") && !ContainsSubstring("hidden"));
  CHECK(text.find('/') == std::string::npos);
}

TEST_CASE("what is no code has its address", "[code_name]") {
  auto const on_heap = std::make_unique<int>(1);
  CHECK_THAT(os::code_name(reinterpret_cast<std::uintptr_t>(on_heap.get())),
             ContainsSubstring("0x") && !ContainsSubstring("+"));
  CHECK(os::code_name(0) == "0x0");
}

}  // namespace code_name_test
