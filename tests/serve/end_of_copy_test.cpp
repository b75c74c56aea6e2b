// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/end_of_copy.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include "../support/catch.hpp"

namespace end_of_copy_test {

using multiprocessing::serve::EndOfCopy;

TEST_CASE("a copy that is forked meanwhile ends, the process goes on", "[end_of_copy]") {
  pid_t copy = 0;
  {
    EndOfCopy const end;
    copy = ::fork();
  }
  if (copy == 0) ::_exit(1);
  int status = -1;
  REQUIRE(::waitpid(copy, &status, 0) == copy);
  CHECK(status == 0);
}

}  // namespace end_of_copy_test
