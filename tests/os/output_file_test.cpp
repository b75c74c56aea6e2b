// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/output_file.hpp>

#include <string>
#include <system_error>

#include <multiprocessing/os/text_file.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/temporary_directory.hpp"

namespace output_file_test {

namespace os = multiprocessing::os;

TEST_CASE("what is written is in the file, and nothing else", "[output_file]") {
  support::TemporaryDirectory const files;
  auto const path = files.write("output", "something longer");
  {
    os::OutputFile file(path);
    file.write("one ");
    file.write("");
    file.write("two");
    CHECK(os::read_text_file(path) == "one two");  // at once
  }
}

TEST_CASE("a file that can not be written is told by name", "[output_file]") {
  CHECK(support::message_of<std::system_error>([] { os::OutputFile("/no/such/place"); }) ==
        "open(/no/such/place): No such file or directory");
  os::OutputFile full("/dev/full");
  CHECK(support::message_of<std::system_error>([&] { full.write("x"); }) ==
        "write(/dev/full): No space left on device");
}

}  // namespace output_file_test
