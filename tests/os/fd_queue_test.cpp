// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fd_queue.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <system_error>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace fd_queue_test {

namespace os = multiprocessing::os;

TEST_CASE("descriptors leave a queue in their order, with their numbers", "[fd_queue]") {
  auto const before = support::open_fds();
  {
    os::FdQueue queue;
    CHECK(queue.size() == 0);
    support::Pipe pipe;
    REQUIRE(queue.push(7, pipe.writer.get()));
    REQUIRE(queue.push(UINT64_MAX, pipe.reader.get()));
    CHECK(queue.size() == 2);
    CHECK(queue.number_at(0) == 7);
    pipe.writer.reset();
    {
      os::Fd const writer = queue.fd_at(0);
      CHECK((::fcntl(writer.get(), F_GETFD) & FD_CLOEXEC) != 0);
      CHECK(::write(writer.get(), "x", 1) == 1);
    }
    CHECK(pipe.hear() == 'x');
    queue.pop();
    CHECK(pipe.hear() == '\0');  // nobody else had the writer
    CHECK(queue.number_at(0) == UINT64_MAX);
    CHECK(queue.size() == 1);
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("each descriptor in a queue can be looked at where it is", "[fd_queue]") {
  os::FdQueue queue;
  std::vector<support::Pipe> pipes(5);
  for (std::size_t i = 0; i < pipes.size(); ++i) REQUIRE(queue.push(i, pipes[i].writer.get()));
  for (std::size_t const i : {4U, 0U, 2U, 2U, 3U, 1U}) {
    CHECK(queue.number_at(i) == i);
    CHECK(::write(queue.fd_at(i).get(), "x", 1) == 1);
    CHECK(pipes[i].hear() == 'x');
  }
  CHECK(queue.size() == 5);
  queue.pop();
  CHECK(queue.number_at(0) == 1);
  CHECK(queue.number_at(3) == 4);
}

TEST_CASE("a queue of descriptors outlives who filled it", "[fd_queue]") {
  os::FdQueue queue;
  support::Pipe pipe;
  support::RawChild child([&] { return queue.push(1, pipe.writer.get()) ? 0 : 1; });
  CHECK(child.wait() == 0);
  pipe.writer.reset();
  CHECK(::write(queue.fd_at(0).get(), "x", 1) == 1);
  CHECK(pipe.hear() == 'x');
}

TEST_CASE("a full queue of descriptors says so, and takes the next when there is room",
          "[fd_queue]") {
  os::FdQueue queue;
  support::Pipe const pipe;
  std::uint64_t most = 0;
  while (queue.push(most, pipe.reader.get())) ++most;
  CHECK(queue.size() == most);
  CHECK(most > 256);
  CHECK_FALSE(queue.push(most, pipe.reader.get()));
  queue.pop();
  CHECK(queue.push(most, pipe.reader.get()));
  CHECK(queue.number_at(0) == 1);
}

TEST_CASE("a descriptor stays in the queue when the process may not have one more", "[fd_queue]") {
  os::FdQueue queue;
  support::Pipe const pipe;
  REQUIRE(queue.push(1, pipe.reader.get()));
  support::RawChild child([&] {
    int const next = ::dup(0);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit const none_left{static_cast<rlim_t>(next), before.rlim_max};
    ::close(next);
    ::setrlimit(RLIMIT_NOFILE, &none_left);
    std::error_code refusal;
    try {
      static_cast<void>(queue.fd_at(0));
    } catch (std::system_error& error) {
      ::setrlimit(RLIMIT_NOFILE, &before);  // UBSan opens a pipe to check what a reference is to
      refusal = error.code();
    }
    return refusal == std::errc::too_many_files_open ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(queue.fd_at(0));
}

TEST_CASE("what is no descriptor is not put into a queue", "[fd_queue]") {
  os::FdQueue queue;
  CHECK_THROWS_AS(queue.push(1, -1), std::system_error);
  CHECK(queue.size() == 0);
}

}  // namespace fd_queue_test
