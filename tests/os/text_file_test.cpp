// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/text_file.hpp>

#include <string>

#include <multiprocessing/os/memfd.hpp>

#include "../support/catch.hpp"

namespace text_file_test {

namespace os = multiprocessing::os;

TEST_CASE("a file of any length is read whole", "[text_file]") {
  for (std::size_t const size : {0U, 1U, 1023U, 1024U, 1025U, 5000U}) {
    std::string text;
    while (text.size() < size) text += static_cast<char>('a' + text.size() % 26);
    auto const fd = os::create_memfd("test");
    REQUIRE(::write(fd.get(), text.data(), size) == static_cast<ssize_t>(size));
    CHECK(os::read_text_file("/proc/self/fd/" + std::to_string(fd.get())) == text);
  }
}

TEST_CASE("a file whose size the system does not tell is read whole", "[text_file]") {
  CHECK_THAT(os::read_text_file("/proc/self/status"), ContainsSubstring("Pid:"));
}

TEST_CASE("what can not be read is empty", "[text_file]") {
  CHECK(os::read_text_file("/no/such/file").empty());
  CHECK(os::read_text_file("/").empty());
  CHECK(os::read_text_file("").empty());
}

TEST_CASE("a number is found behind its label and blanks", "[text_file]") {
  CHECK(os::number_after("Name:\tx\nTgid:\t42\nPid:\t43\n", "Tgid:") == 42);
  CHECK(os::number_after("MemFree:  \t 7 kB", "MemFree:") == 7);
  CHECK(os::number_after("MemFree:8", "MemFree:") == 8);
  CHECK(os::number_after("  9\n", "") == 9);
  CHECK(os::number_after("a: 1\na: 2", "a:") == 1);
  CHECK(os::number_after("a: 18446744073709551615", "a:") == UINT64_MAX);
}

TEST_CASE("where there is no number there is none", "[text_file]") {
  CHECK(os::number_after("Tgid:\t42", "Pid:") == std::nullopt);
  CHECK(os::number_after("Tgid:", "Tgid:") == std::nullopt);
  CHECK(os::number_after("Tgid:\t ", "Tgid:") == std::nullopt);
  CHECK(os::number_after("max\n", "") == std::nullopt);
  CHECK(os::number_after("", "") == std::nullopt);
  CHECK(os::number_after("a:\n5", "a:") == std::nullopt);
  CHECK(os::number_after("a: -1", "a:") == std::nullopt);
  CHECK(os::number_after("a: 18446744073709551616", "a:") == std::nullopt);
}

}  // namespace text_file_test
