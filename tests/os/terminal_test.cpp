// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/terminal.hpp>

#include <cerrno>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/terminal.hpp"

namespace terminal_test {

namespace os = multiprocessing::os;

TEST_CASE("a terminal is told from other files, and says its width", "[terminal]") {
  support::Terminal const terminal(123);
  support::Pipe const pipe;
  errno = EDOM;
  CHECK(os::is_terminal(terminal.fd()));
  CHECK(os::columns_of(terminal.fd()) == 123);
  terminal.resize(0);
  CHECK(os::columns_of(terminal.fd()) == 0);
  for (int const fd : {pipe.writer.get(), -1}) {
    CHECK_FALSE(os::is_terminal(fd));
    CHECK(os::columns_of(fd) == 0);
  }
  CHECK(errno == EDOM);
}

}  // namespace terminal_test
