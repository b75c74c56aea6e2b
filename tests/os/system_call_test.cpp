// SPDX-License-Identifier: BSL-1.0

#include <multiprocessing/os/system_call.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace system_call_test {

namespace os = multiprocessing::os;

TEST_CASE("an interrupted call is made again, any other failure is not", "[system_call]") {
  int calls = 0;
  auto const result = os::retry_eintr([&] {
    errno = ++calls < 3 ? EINTR : EIO;
    return -1;
  });
  CHECK(result == -1);
  CHECK(errno == EIO);
  CHECK(calls == 3);
  CHECK(os::retry_eintr([] { return 7; }) == 7);
}

TEST_CASE("a failed call names itself, its object and the reason", "[system_call]") {
  auto const text = support::message_of<std::system_error>([] {
    errno = ENOENT;
    os::throw_errno("open", "/x");
  });
  CHECK_THAT(text, ContainsSubstring("open(/x)") && ContainsSubstring("No such file"));
}

}  // namespace system_call_test
