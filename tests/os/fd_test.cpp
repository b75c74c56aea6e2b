// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fd.hpp>

#include <fcntl.h>

#include "../support/catch.hpp"

namespace fd_test {

using multiprocessing::os::Fd;

namespace {
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
Fd open_null() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
}  // namespace

TEST_CASE("an fd is closed once, by its last owner", "[fd]") {
  int number = -1;
  {
    Fd first = open_null();
    number = first.get();
    Fd second = std::move(first);
    CHECK_FALSE(first);
    CHECK(second.get() == number);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("an fd that is assigned to closes what it had", "[fd]") {
  Fd fd = open_null();
  int const old = fd.get();
  Fd other = open_null();
  int const kept = other.get();
  fd = std::move(other);
  CHECK_FALSE(is_open(old));
  CHECK(fd.get() == kept);
  auto& same = fd;
  fd = std::move(same);
  CHECK(is_open(kept));
}

TEST_CASE("a released fd is the caller's to close", "[fd]") {
  Fd fd = open_null();
  int const number = fd.release();
  fd.reset();
  CHECK(is_open(number));
  ::close(number);
}

}  // namespace fd_test
