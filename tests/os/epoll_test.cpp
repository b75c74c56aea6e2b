// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/epoll.hpp>

#include <system_error>

#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace epoll_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

TEST_CASE("a set is readable when one in it is", "[os]") {
  os::ReadableSet const set;
  support::Pipe first;
  support::Pipe second;
  set.add(first.reader.get());
  set.add(second.reader.get());
  auto const is_readable = [&] { return os::poll_readable(set.fd(), Deadline::after(0s)); };
  CHECK_FALSE(is_readable());
  second.tell();
  CHECK(is_readable());
  set.remove(second.reader.get());
  CHECK_FALSE(is_readable());
  CHECK_THROWS_AS(set.add(first.reader.get()), std::system_error);
}

}  // namespace epoll_test
