// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/vault.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include <multiprocessing/shm/heap.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/system_calls.hpp"

namespace vault_test {

using multiprocessing::shm::Heap;
using multiprocessing::shm::Lease;
using multiprocessing::shm::Vault;
namespace os = multiprocessing::os;

namespace {
Vault& vault() { return Heap::instance().vault(); }
}  // namespace

TEST_CASE("a descriptor is taken once, in any order", "[vault]") {
  Lease const first(8);
  Lease const second(8);
  Lease const third(8);
  support::Pipe pipe;
  vault().put(first.block(), pipe.reader.get());
  vault().put(second.block(), pipe.writer.get());
  vault().put(third.block(), pipe.reader.get());
  CHECK(vault().size() == 3);
  pipe.writer.reset();
  {
    os::Fd const writer = vault().take(second.block());
    REQUIRE(writer);
    CHECK(::write(writer.get(), "x", 1) == 1);
  }
  CHECK(pipe.hear() == 'x');
  CHECK(pipe.hear() == '\0');
  CHECK_FALSE(vault().take(second.block()));
  CHECK(vault().take(third.block()));
  CHECK(vault().take(first.block()));
  CHECK(vault().size() == 0);
}

TEST_CASE("a descriptor is closed with the block that it belongs to", "[vault]") {
  support::Pipe pipe;
  {
    Lease const block(8);
    vault().put(block.block(), pipe.writer.get());
    pipe.writer.reset();
  }
  CHECK(pipe.hear() == '\0');
  CHECK(vault().size() == 0);
}

TEST_CASE("a descriptor is closed when the dead alone had its block", "[vault]") {
  support::Pipe pipe;
  support::Pipe has_put;
  REQUIRE(vault().size() == 0);  // made here, so that the child has it, too
  support::RawChild child([&] {
    auto* const block = new Lease(8);
    vault().put(block->block(), pipe.writer.get());
    has_put.tell();
    ::pause();
  });
  pipe.writer.reset();
  has_put.hear();
  CHECK(vault().size() == 1);
  child.kill();
  child.wait();
  Heap::instance().arena().bury_the_dead();
  { Lease const any(8); }
  CHECK(pipe.hear() == '\0');
  CHECK(vault().size() == 0);
}

TEST_CASE("a vault takes no more than it says, and says so", "[vault]") {
  support::Pipe const pipe;
  std::vector<std::unique_ptr<Lease>> blocks;
  for (std::size_t i = 0; i <= Vault::kMost; ++i) blocks.push_back(std::make_unique<Lease>(8));
  for (std::size_t i = 0; i < Vault::kMost; ++i) vault().put(blocks[i]->block(), pipe.reader.get());
  auto const put_another = [&] { vault().put(blocks.back()->block(), pipe.reader.get()); };
  CHECK(support::message_of<std::system_error>(put_another)
            .find("too many descriptors are under way that nobody receives") != std::string::npos);
  CHECK(vault().take(blocks[Vault::kMost - 1]->block()));  // from behind all the others
  put_another();
  for (std::size_t i = 0; i < Vault::kMost - 1; ++i) REQUIRE(vault().take(blocks[i]->block()));
  CHECK(vault().take(blocks.back()->block()));
  CHECK(vault().size() == 0);
}

TEST_CASE("what it costs to put a descriptor does not depend on how many are under way",
          "[vault]") {
  support::Pipe const pipe;
  Lease const block(8);
  auto const put_and_take = [&] {
    vault().put(block.block(), pipe.reader.get());
    static_cast<void>(vault().take(block.block()));
  };
  auto const alone = support::system_calls_of(put_and_take);
  std::vector<std::unique_ptr<Lease>> blocks;
  for (int i = 0; i < 100; ++i) {
    blocks.push_back(std::make_unique<Lease>(8));
    vault().put(blocks.back()->block(), pipe.reader.get());
  }
  auto const put = [&] { vault().put(block.block(), pipe.reader.get()); };
  CHECK(support::system_calls_of(put) < alone);
  for (auto const& each : blocks) CHECK(vault().take(each->block()));
  vault().take(block.block());
  CHECK(vault().size() == 0);
}

TEST_CASE("what is no descriptor is not kept", "[vault]") {
  Lease const block(8);
  CHECK_THROWS_AS(vault().put(block.block(), -1), std::system_error);
  CHECK_FALSE(vault().take(block.block()));
}

TEST_CASE("who takes a descriptor keeps its locks of other files that are under way", "[vault]") {
  os::Fd const file(::memfd_create("test", MFD_CLOEXEC));
  support::Pipe const pipe;
  Lease const first(8);
  Lease const second(8);
  vault().put(first.block(), file.get());
  vault().put(second.block(), pipe.writer.get());
  flock lock{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  REQUIRE(::fcntl(file.get(), F_SETLK, &lock) == 0);
  CHECK(vault().take(second.block()));
  support::RawChild child([&] {
    ::fcntl(file.get(), F_GETLK, &lock);
    return lock.l_type == F_WRLCK ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(vault().take(first.block()));
  CHECK(vault().size() == 0);
}

TEST_CASE("gaps are closed by the next one to put or take", "[vault]") {
  support::Pipe pipe;
  Lease const first(8);
  Lease const last(8);
  vault().put(first.block(), pipe.reader.get());
  {
    Lease const dropped(8);
    vault().put(dropped.block(), pipe.writer.get());
    pipe.writer.reset();
  }
  CHECK(vault().size() == 2);
  vault().put(last.block(), pipe.reader.get());
  CHECK(pipe.hear() == '\0');
  CHECK(vault().size() == 2);
  CHECK(vault().take(last.block()));
  CHECK(vault().take(first.block()));
}

TEST_CASE("a descriptor is taken also where this process could not have a second more", "[vault]") {
  support::Pipe const pipe;
  Lease const first(8);
  Lease const second(8);
  vault().put(first.block(), pipe.reader.get());
  vault().put(second.block(), pipe.reader.get());
  support::RawChild child([&] {
    int const next = ::dup(0);
    ::close(next);
    auto const most = static_cast<rlim_t>(next) + 1;
    rlimit const limit{most, most};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return vault().take(second.block()) ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(vault().take(first.block()));
}

}  // namespace vault_test
