// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/named_memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>
#include <system_error>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace named_memory_test {

namespace os = multiprocessing::os;

namespace {

std::string unused_name() { return "multiprocessing-test-" + std::to_string(::getpid()); }

int error_of(auto const& call) {
  try {
    call();
    return 0;
  } catch (std::system_error const& error) {
    return error.code().value();
  }
}

}  // namespace

TEST_CASE("memory with a name is found by it, by shm_open as well", "[named_memory]") {
  auto const name = unused_name();
  {
    auto const made = os::create_nameable_memory(5000);
    CHECK(error_of([&] { os::open_named_memory(name); }) == ENOENT);
    os::give_name(made, name);
    auto const found = os::open_named_memory(name);
    CHECK(os::file_size(found) == 5000);
    CHECK(os::file_identity(found.get()) == os::file_identity(made.get()));
    os::Fd const by_posix(::shm_open(("/" + name).c_str(), O_RDWR, 0));
    CHECK(os::file_identity(by_posix.get()) == os::file_identity(made.get()));
    struct stat status;
    REQUIRE(::fstat(made.get(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK((::fcntl(found.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  os::unlink_named_memory(name);
  CHECK(error_of([&] { os::open_named_memory(name); }) == ENOENT);
  CHECK(error_of([&] { os::unlink_named_memory(name); }) == ENOENT);
}

TEST_CASE("a name is given once", "[named_memory]") {
  auto const name = unused_name();
  auto const first = os::create_nameable_memory(1);
  os::give_name(first, name);
  CHECK(error_of([&] { os::give_name(os::create_nameable_memory(1), name); }) == EEXIST);
  CHECK(os::file_identity(os::path_of_named_memory(name)) == os::file_identity(first.get()));
  os::unlink_named_memory(name);
}

TEST_CASE("nameable memory has all its pages, or is refused", "[named_memory]") {
  auto const made = os::create_nameable_memory(10000);
  CHECK(os::allocated_size(made) >= 10000);
  CHECK_THROWS_AS(os::create_nameable_memory(std::size_t{1} << 50), std::bad_alloc);
}

TEST_CASE("a link is not followed", "[named_memory]") {
  auto const name = unused_name();
  REQUIRE(::symlink("/etc/passwd", os::path_of_named_memory(name).c_str()) == 0);
  CHECK(error_of([&] { os::open_named_memory(name); }) == ELOOP);
  os::unlink_named_memory(name);
}

}  // namespace named_memory_test
