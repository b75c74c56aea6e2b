// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/memfd.hpp>

#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "../support/catch.hpp"

namespace memfd_test {

namespace os = multiprocessing::os;

TEST_CASE("a memfd has pages only where it was committed, until they are discarded", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, std::size_t{1} << 30);
  CHECK(os::allocated_size(fd) == 0);
  os::commit_pages(fd, std::size_t{1} << 20, std::size_t{40} << 20);
  CHECK(os::allocated_size(fd) == std::size_t{40} << 20);
  os::discard_pages(fd, std::size_t{1} << 20, std::size_t{40} << 20);
  CHECK(os::allocated_size(fd) == 0);
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

TEST_CASE("more pages than the machine has are refused before any is taken", "[memfd]") {
  struct sysinfo machine;
  REQUIRE(::sysinfo(&machine) == 0);
  std::uint64_t const all =
      (std::uint64_t{machine.totalram} + machine.totalswap) * machine.mem_unit;
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, 8 * all);
  CHECK_THROWS_AS(os::commit_pages(fd, 0, 4 * all), std::bad_alloc);
  CHECK_THROWS_AS(os::commit_pages(fd, 4 * all, 4 * all), std::bad_alloc);
  CHECK(os::allocated_size(fd) == 0);
  os::commit_pages(fd, 4 * all, 1);  // a little is still to be had
  CHECK(os::allocated_size(fd) > 0);
}

TEST_CASE("what was written stays when its pages are committed again", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::fix_size(fd, 8192);
  os::commit_pages(fd, 0, 4096);
  REQUIRE(::pwrite(fd.get(), "text", 4, 100) == 4);
  os::commit_pages(fd, 0, 8192);
  char text[104];
  CHECK(os::read_front(fd, text, sizeof text) == sizeof text);
  CHECK(std::string_view(text + 100, 4) == "text");
}

TEST_CASE("a memfd that grows has pages for all that is new", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::commit_pages(fd, 0, 100);
  REQUIRE(::pwrite(fd.get(), "text", 4, 96) == 4);
  os::grow(fd, 100, 100'000);
  CHECK(os::file_size(fd) == 100'000);
  CHECK(os::allocated_size(fd) >= 100'000);
  char text[104];
  CHECK(os::read_front(fd, text, sizeof text) == sizeof text);
  CHECK(std::string_view(text + 96, 8) == std::string_view("text\0\0\0\0", 8));
}

TEST_CASE("a memfd that can not grow is as it was", "[memfd]") {
  auto const fd = os::create_memfd("test");
  os::commit_pages(fd, 0, 4096);
  CHECK_THROWS_AS(os::grow(fd, 4096, std::size_t{1} << 50), std::bad_alloc);
  CHECK(os::file_size(fd) == 4096);
  CHECK(os::allocated_size(fd) == 4096);
}

}  // namespace memfd_test
