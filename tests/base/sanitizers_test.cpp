// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/sanitizers.hpp>

#include <dlfcn.h>

#include "../support/catch.hpp"

namespace sanitizers_test {

TEST_CASE("a sanitizer is told where its runtime is there", "[sanitizers]") {
  auto const has = [](char const* function) { return ::dlsym(RTLD_DEFAULT, function) != nullptr; };
  CHECK(has("__asan_region_is_poisoned") == (MULTIPROCESSING_ADDRESS_SANITIZER == 1));
  CHECK(has("__tsan_acquire") == (MULTIPROCESSING_THREAD_SANITIZER == 1));
}

}  // namespace sanitizers_test
