// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/stdio.hpp>

#include <string>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace stdio_test {

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

TEST_CASE("a pipe that is full is waited for, also in non-blocking mode", "[stdio]") {
  std::string const text(300'000, 'x');  // more than a pipe holds
  support::Pipe pipe;
  ::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
  support::RawChild child([&] {
    ::dup2(pipe.writer.get(), STDERR_FILENO);
    pipe.writer.reset();
    return os::write_to_stderr(text) ? 0 : 1;
  });
  support::wait_until_asleep(child.pid());
  CHECK(pipe.drain() == text);
  CHECK(child.wait() == 0);
}

TEST_CASE("who writes where nobody reads is told, and not killed", "[stdio]") {
  support::RawChild child([] {
    support::Pipe pipe;
    ::dup2(pipe.writer.get(), STDERR_FILENO);
    pipe.reader.reset();
    if (os::write_to_stderr("x")) return 1;
    sigset_t pending;
    ::sigpending(&pending);
    if (::sigismember(&pending, SIGPIPE) == 1) return 2;
    ::close(STDERR_FILENO);
    return os::write_to_stderr("x") || os::stderr_identity() ? 3 : 0;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("all descriptors of a file have one identity", "[stdio]") {
  support::RawChild child([] {
    support::Pipe one;
    support::Pipe other;
    ::dup2(one.writer.get(), STDERR_FILENO);
    auto const first = os::stderr_identity();
    ::dup2(other.writer.get(), STDERR_FILENO);
    if (os::stderr_identity() == first) return 1;
    ::dup2(one.reader.get(), STDERR_FILENO);
    return first && os::stderr_identity() == first ? 0 : 2;
  });
  CHECK(child.wait() == 0);
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

}  // namespace stdio_test
