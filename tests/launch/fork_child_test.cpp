// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/fork_child.hpp>

#include <stdexcept>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace fork_child_test {

namespace launch = multiprocessing::launch;
using multiprocessing::base::Deadline;

namespace {

template <class Body>
int exitcode_of(Body const& body) {
  auto const child = launch::fork_child(launch::new_child_identity(), body);
  return child->wait_until(Deadline::never())->exitcode();
}

/// What `body` prints to stderr as a child of a bare process, and its exit code.
template <class Body>
std::pair<std::string, int> printed_by(Body const& body) {
  auto const [text, status] = support::stderr_of([&] { return exitcode_of(body); });
  return {text, WEXITSTATUS(status)};
}

}  // namespace

TEST_CASE("what the body returns is the exit code", "[fork_child]") {
  CHECK(exitcode_of([] { return 0; }) == 0);
  CHECK(exitcode_of([] { return 8; }) == 8);
  CHECK(exitcode_of([]() -> int { throw launch::ExitRequest{9}; }) == 9);
  CHECK(exitcode_of([]() -> int { throw launch::ExitRequest{300}; }) == 44);
  CHECK(exitcode_of([]() -> int { std::exit(7); }) == 7);
}

TEST_CASE("an uncaught exception is printed with process, type and text", "[fork_child]") {
  auto const [text, code] = printed_by([]() -> int { throw std::out_of_range("no such item"); });
  CHECK(code == 1);
  CHECK_THAT(text, ContainsSubstring("Process Process-") && ContainsSubstring("pid") &&
                       ContainsSubstring("std::out_of_range: no such item\n"));
  auto const [odd, odd_code] = printed_by([]() -> int { throw 5; });
  CHECK(odd_code == 1);
  CHECK_THAT(odd, ContainsSubstring("uncaught int\n"));
}

TEST_CASE("an exit request passes handlers of std::exception, and unwinds", "[fork_child]") {
  support::Pipe pipe;
  auto const code = exitcode_of([&]() -> int {
    struct Unwound {
      support::Pipe& pipe;
      ~Unwound() { pipe.tell('u'); }
    } const unwound{pipe};
    try {
      throw launch::ExitRequest{4};
    } catch (std::exception const&) {
      return 1;
    }
  });
  CHECK(code == 4);
  CHECK(pipe.drain() == "u");
}

TEST_CASE("output of parent and child appears once each", "[fork_child]") {
  support::Pipe out;
  support::RawChild parent([&] {
    ::dup2(out.writer.get(), STDOUT_FILENO);
    std::printf("parent ");
    int const code = exitcode_of([] {
      std::printf("child ");
      std::cout << "too" << std::flush;
      return 0;
    });
    std::fflush(stdout);
    return code;
  });
  CHECK(parent.wait() == 0);
  CHECK(out.drain() == "parent child too");
}

TEST_CASE("the parent's exit handlers and static destructors never run in a child",
          "[fork_child]") {
  static support::Pipe* log;
  support::Pipe pipe;
  log = &pipe;
  support::RawChild parent([] {
    struct Static {
      ~Static() { log->tell('D'); }
    };
    static Static const constructed_in_parent;
    std::atexit([] { log->tell('A'); });
    for (bool const by_exit : {false, true}) {
      exitcode_of([=] {
        std::atexit([] { log->tell('c'); });
        if (by_exit) std::exit(0);
        return 0;
      });
    }
    return 0;  // by _exit: nothing of the parent's own runs, either
  });
  CHECK(parent.wait() == 0);
  CHECK(pipe.drain() == "cc");
}

}  // namespace fork_child_test
