// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/memory.hpp>

#include <sys/sysinfo.h>

#include "../support/catch.hpp"
#include "../support/temporary_directory.hpp"

namespace memory_test {

namespace os = multiprocessing::os;
using os::memory_detail::kUnlimited;

TEST_CASE("some memory is available and never more than the machine has", "[memory]") {
  struct sysinfo machine;
  REQUIRE(::sysinfo(&machine) == 0);
  std::uint64_t const all =
      (std::uint64_t{machine.totalram} + machine.totalswap) * machine.mem_unit;
  CHECK(os::available_memory() > 0);
  CHECK(os::available_memory() <= all);
  CHECK(os::memory_detail::of_the_machine() <= all);
  CHECK(os::available_memory() <= os::memory_detail::of_the_control_groups());
}

TEST_CASE("below a limit is left what is not used", "[memory]") {
  support::TemporaryDirectory const files;  // as those below /sys
  auto const limit = files.write("memory.max", "1000\n");
  auto const left_when = [&](char const* used, char const* statistics) {
    return os::memory_detail::left_of(limit, files.write("memory.current", used),
                                      files.write("memory.stat", statistics));
  };
  CHECK(left_when("400\n", "") == 600);
  CHECK(left_when("1000\n", "anon 1000\n") == 0);
  CHECK(left_when("1001\n", "anon 1001\n") == 0);
}

TEST_CASE("pages of files can be had back", "[memory]") {
  support::TemporaryDirectory const files;  // as those below /sys
  auto const limit = files.write("memory.max", "1000\n");
  auto const used = files.write("memory.current", "900\n");
  auto const statistics =
      files.write("memory.stat", "anon 400\ninactive_file 300\nactive_file 200\n");
  CHECK(os::memory_detail::left_of(limit, used, statistics) == 600);
}

TEST_CASE("no limit is no limit however it is told", "[memory]") {
  support::TemporaryDirectory const files;  // as those below /sys
  auto const number = files.write("number", "400\n");
  auto const none = files.path("none");
  CHECK(os::memory_detail::left_of(files.write("memory.max", "max\n"), number, none) == kUnlimited);
  CHECK(os::memory_detail::left_of(none, number, none) == kUnlimited);
  CHECK(os::memory_detail::left_of(number, none, none) == kUnlimited);
  CHECK(os::memory_detail::left_of(none, none, none) == kUnlimited);
  CHECK(os::memory_detail::number_in(none) == kUnlimited);
  CHECK(os::memory_detail::number_in(number) == 400);
}

}  // namespace memory_test
