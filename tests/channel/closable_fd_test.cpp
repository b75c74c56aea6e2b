// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/closable_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace closable_fd_test {

namespace channel = multiprocessing::channel;
namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

/// Waits for `fd` in another thread; returns once that is asleep.
template <class Wait>
std::future<bool> wait_in_thread(Wait const& wait) {
  std::promise<pid_t> thread;
  auto number = thread.get_future();
  auto result = std::async(std::launch::async, [&thread, wait] {
    thread.set_value(::gettid());
    return wait();
  });
  support::wait_for_state_in("/proc/self/task/" + std::to_string(number.get()), "S");
  return result;
}

}  // namespace

TEST_CASE("a closed descriptor is closed at once, and no use any more", "[closable_fd]") {
  support::Pipe pipe;
  int const number = pipe.reader.get();
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  CHECK(fd.fileno() == number);
  CHECK(fd.use().get() == number);
  CHECK_FALSE(fd.closed());
  fd.close();
  CHECK(fd.closed());
  CHECK(fd.fileno() == -1);
  CHECK_FALSE(is_open(number));
  fd.close();
  CHECK_THAT(support::message_of<std::system_error>([&] { static_cast<void>(fd.use()); }),
             ContainsSubstring("the pipe is closed"));
}

TEST_CASE("a descriptor in use is closed by its last user", "[closable_fd]") {
  support::Pipe pipe;
  int const number = pipe.reader.get();
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  {
    auto const last = fd.use();
    {
      auto const use = fd.use();
      fd.close();
      CHECK_THROWS_AS(static_cast<void>(fd.use()), std::system_error);
    }
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("a wait ends when something came, or the deadline passed", "[closable_fd]") {
  support::Pipe pipe;
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  auto const use = fd.use();
  auto const deadline = Deadline::after(20ms);
  CHECK_FALSE(fd.wait(POLLIN, deadline));
  CHECK(deadline.passed());
  pipe.tell();
  CHECK(fd.wait(POLLIN, Deadline::never()));
}

TEST_CASE("close ends the waits of all other threads", "[closable_fd]") {
  support::Pipe pipe;
  int const number = pipe.reader.get();
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  auto const wait = [&fd] {
    auto const use = fd.use();
    return fd.wait(POLLIN, Deadline::never());
  };
  auto one = wait_in_thread(wait);
  auto other = wait_in_thread(wait);
  fd.close();
  CHECK_THROWS_AS(one.get(), std::system_error);
  CHECK_THROWS_AS(other.get(), std::system_error);
  CHECK_FALSE(is_open(number));
}

TEST_CASE("a child closes what a thread of its parent waits for", "[closable_fd]") {
  support::Pipe pipe;
  int const number = pipe.reader.get();
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  auto waiting = wait_in_thread([&fd] {
    auto const use = fd.use();
    return fd.wait(POLLIN, Deadline::never());
  });
  support::RawChild child([&] {
    {
      auto const use = fd.use();
      fd.wait(POLLIN, Deadline::after(0s));
    }
    fd.close();
    return is_open(number) ? 1 : 0;
  });
  CHECK(child.wait() == 0);
  CHECK_FALSE(fd.closed());
  pipe.tell();  // only now, and not by the child's close
  CHECK(waiting.get());
}

TEST_CASE("a child can wait for what its parent waited for, and be woken", "[closable_fd]") {
  support::Pipe pipe;
  channel::ClosableFd fd(std::move(pipe.reader), "pipe");
  {
    auto const use = fd.use();
    fd.wait(POLLIN, Deadline::after(0s));
  }
  support::RawChild child([&] {
    auto waiting = wait_in_thread([&fd] {
      auto const use = fd.use();
      return fd.wait(POLLIN, Deadline::never());
    });
    fd.close();
    try {
      waiting.get();
    } catch (std::system_error const&) {
      return 0;
    }
    return 1;
  });
  CHECK(child.wait() == 0);
  auto const use = fd.use();
  CHECK_FALSE(fd.wait(POLLIN, Deadline::after(0s)));
}

}  // namespace closable_fd_test
