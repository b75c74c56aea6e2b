// SPDX-License-Identifier: BSL-1.0
// Of the bodies that are compiled once. That a program of such a library runs is what the examples
// show, which are linked with multiprocessing::compiled.
#include <multiprocessing/base/separate_compilation.hpp>

#include <string_view>

#include "../support/catch.hpp"

namespace separate_compilation_test {

#define TEXT_OF(macro) TEXT_OF_EXPANDED(macro)
#define TEXT_OF_EXPANDED(text) #text

TEST_CASE("bodies are inline, unless they are compiled once", "[separate_compilation]") {
#ifdef MULTIPROCESSING_SEPARATE_COMPILATION
  CHECK(std::string_view(TEXT_OF(MULTIPROCESSING_INLINE)).empty());
#else
  CHECK(std::string_view(TEXT_OF(MULTIPROCESSING_INLINE)) == "inline");
#endif
}

}  // namespace separate_compilation_test
