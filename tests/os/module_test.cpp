// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/module.hpp>

#include <cstdlib>
#include <vector>

#include "../support/catch.hpp"

namespace module_test {

namespace os = multiprocessing::os;

namespace {
void here() {}
}  // namespace

TEST_CASE("a module is found by an address in it, and again by its identity", "[module]") {
  auto const program = os::module_at(reinterpret_cast<std::uintptr_t>(&here));
  REQUIRE(program);
  auto const table = os::ModuleTable::now();
  auto const* const again = table.find(program->identity);
  REQUIRE(again != nullptr);
  CHECK(again->base == program->base);

  auto const library = os::module_at(reinterpret_cast<std::uintptr_t>(&std::abort));
  REQUIRE(library);
  CHECK(library->identity != program->identity);
  CHECK_THAT(library->path, ContainsSubstring("lib"));
}

TEST_CASE("what lies in no module is not found", "[module]") {
  std::vector<int> heap(1000);
  CHECK_FALSE(os::module_at(reinterpret_cast<std::uintptr_t>(heap.data())));
  CHECK(os::ModuleTable::now().find(0x1234) == nullptr);
}

}  // namespace module_test
