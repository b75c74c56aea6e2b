// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/named_memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <thread>

#include <multiprocessing/os/memfd.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/memory_name.hpp"

namespace named_memory_test {

namespace os = multiprocessing::os;
using support::unused_name;

namespace {

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
    auto const made = os::create_nameable_memory(name, 5000);
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
  auto const file = os::NamedMemoryPath(name).file().value();
  CHECK(os::try_unlink_named_memory(name, file) == 0);
  CHECK(error_of([&] { os::open_named_memory(name); }) == ENOENT);
  CHECK(os::try_unlink_named_memory(name, file) == ENOENT);
}

TEST_CASE("a name is given once", "[named_memory]") {
  auto const name = unused_name();
  auto const first = os::create_nameable_memory(name, 1);
  os::give_name(first, name);
  CHECK(error_of([&] { os::give_name(os::create_nameable_memory(name, 1), name); }) == EEXIST);
  CHECK(os::NamedMemoryPath(name).file() == os::file_identity(first.get()));
  CHECK(os::try_unlink_named_memory(name, *os::file_identity(first.get())) == 0);
}

TEST_CASE("a name that is another file's by now is left alone", "[named_memory]") {
  auto const name = unused_name();
  auto const first = os::create_nameable_memory(name, 1);
  auto const second = os::create_nameable_memory(name, 1);
  os::give_name(second, name);
  CHECK(os::try_unlink_named_memory(name, *os::file_identity(first.get())) == ENOENT);
  CHECK(os::try_unlink_named_memory(name, *os::file_identity(second.get())) == 0);
}

TEST_CASE("of many who unlink and make a name, nobody takes another's", "[named_memory]") {
  auto const name = unused_name();
  int lost = 0;
  std::atomic<bool> over{false};
  os::FileIdentity file{};
  auto const make = [&] {
    auto const memory = os::create_nameable_memory(name, 1);
    os::give_name(memory, name);
    file = *os::file_identity(memory.get());
  };
  make();
  std::atomic<os::FileIdentity const*> old{nullptr};
  std::jthread unlinker([&] {
    while (!over) {
      if (auto const* const its = old.load()) {
        os::try_unlink_named_memory(name, *its);
        old = nullptr;
      }
    }
  });
  for (int round = 0; round < 2000; ++round) {
    auto const before = file;
    old = &before;
    os::try_unlink_named_memory(name, before);  // both at once
    make();
    while (old.load() != nullptr) std::this_thread::yield();
    lost += os::NamedMemoryPath(name).file() == file ? 0 : 1;
  }
  over = true;
  unlinker.join();
  CHECK(lost == 0);
  CHECK(os::try_unlink_named_memory(name, file) == 0);
}

TEST_CASE("nameable memory has all its pages, or is refused", "[named_memory]") {
  auto const made = os::create_nameable_memory("x", 10000);
  CHECK(os::allocated_size(made) >= 10000);
  CHECK_THROWS_AS(os::create_nameable_memory("x", std::size_t{1} << 50), std::bad_alloc);
}

TEST_CASE("what is no file of memory is not opened", "[named_memory]") {
  auto const name = unused_name();
  auto const kept = "/dev/shm/" + name;
  REQUIRE(::symlink("/etc/passwd", kept.c_str()) == 0);
  CHECK(error_of([&] { os::open_named_memory(name); }) == ELOOP);
  ::unlink(kept.c_str());
  REQUIRE(::mkfifo(kept.c_str(), 0600) == 0);
  CHECK(error_of([&] { os::open_named_memory(name); }) != 0);
  ::unlink(kept.c_str());
}

TEST_CASE("the mode is its user's, whatever the umask", "[named_memory]") {
  support::RawChild child([] {
    ::umask(0777);
    auto const memory = os::create_nameable_memory("x", 1);
    struct stat status;
    return ::fstat(memory.get(), &status) == 0 && (status.st_mode & 0777) == 0600 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

}  // namespace named_memory_test
