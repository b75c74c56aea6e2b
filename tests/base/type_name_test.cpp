// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/type_name.hpp>

#include <stdexcept>

#include "../support/catch.hpp"

namespace type_name_test {

namespace {
struct Custom {};
}  // namespace

TEST_CASE("type names read as they were written", "[type_name]") {
  using multiprocessing::base::type_name;
  CHECK(type_name(typeid(int)) == "int");
  CHECK(type_name(typeid(std::runtime_error)) == "std::runtime_error");
  CHECK_THAT(type_name(typeid(Custom)), ContainsSubstring("Custom"));
}

TEST_CASE("a name of the linker's reads as it was written, or stays", "[type_name]") {
  using multiprocessing::base::readable_name;
  CHECK(readable_name("_ZN3app5parseEPKc") == "app::parse(char const*)");
  CHECK(readable_name("malloc") == "malloc");
}

TEST_CASE("the exception in flight is named, whatever its type", "[type_name]") {
  auto const name_of = [](auto const& thrown) {
    try {
      throw thrown;
    } catch (...) {
      return multiprocessing::base::current_exception_type_name();
    }
  };
  CHECK(name_of(std::out_of_range("")) == "std::out_of_range");
  CHECK(name_of(5) == "int");
}

}  // namespace type_name_test
