// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/stdio.hpp>

#include <string>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace os = multiprocessing::os;

TEST_CASE("flushing empties the buffers of C and C++", "[stdio]") {
  support::Pipe out;
  support::RawChild child([&] {
    ::dup2(out.writer.get(), STDOUT_FILENO);
    std::printf("one ");
    std::cout << "two";
    os::flush_standard_streams();
    return 0;  // by _exit, which flushes nothing
  });
  child.wait();
  CHECK(out.drain() == "one two");
}

TEST_CASE("what is written to stderr arrives whole and at once", "[stdio]") {
  std::string const text(10'000, 'x');
  auto const [written, status] = support::stderr_of([&] {
    os::write_to_stderr(text);
    return 0;
  });
  CHECK(written == text);
}

TEST_CASE("closed standard input reads as empty, also what was read ahead", "[process]") {
  support::Pipe input;
  for (char const c : std::string("one\ntwo\n")) input.tell(c);
  support::RawChild child([&] {
    ::dup2(input.reader.get(), STDIN_FILENO);
    char line[16];
    if (std::fgets(line, sizeof line, stdin) == nullptr) return 1;
    os::replace_standard_input(os::open_null());
    return std::fgets(line, sizeof line, stdin) == nullptr ? 0 : 2;
  });
  CHECK(WEXITSTATUS(child.wait()) == 0);
}
