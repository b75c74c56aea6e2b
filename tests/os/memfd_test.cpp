// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/memfd.hpp>

#include <sys/stat.h>

#include "../support/catch.hpp"

namespace os = multiprocessing::os;

namespace {
std::uint64_t backed_bytes(os::Fd const& fd) {
  struct stat status;
  REQUIRE(::fstat(fd.get(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}
}  // namespace

TEST_CASE("a memfd has pages only where it was committed, until they are discarded", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, std::size_t{1} << 30);
  CHECK(backed_bytes(fd) == 0);
  os::commit_pages(fd, std::size_t{1} << 20, std::size_t{40} << 20);
  CHECK(backed_bytes(fd) == std::size_t{40} << 20);
  os::discard_pages(fd, std::size_t{1} << 20, std::size_t{40} << 20);
  CHECK(backed_bytes(fd) == 0);
}

TEST_CASE("a memfd of fixed size can not be shrunk under its users", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, 8192);
  CHECK(::ftruncate(fd.get(), 4096) == -1);
  CHECK(errno == EPERM);
}

TEST_CASE("a memfd is not inherited by exec", "[memfd]") {
  auto const fd = os::create_memfd("test");
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}
