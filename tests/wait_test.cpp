// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wait.hpp>

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/channel.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/semaphore.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/system_calls.hpp"

namespace wait_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using Ready = std::vector<mp::Waitable>;

TEST_CASE("wait returns what is ready, in order", "[wait]") {
  auto [a, b] = mp::Pipe<int>();
  auto [sender, receiver] = mp::Channel<std::string>();
  mp::Queue<int> const queue;
  CHECK(mp::wait({&b, &receiver, &queue}, 1ms).empty());
  queue.put(1);
  CHECK(mp::wait({&b, &receiver, &queue}) == Ready{&queue});
  a.send(1);
  CHECK(mp::wait({&b, &receiver, &queue}) == Ready{&b, &queue});
  sender.put("x");
  CHECK(mp::wait({&b, &receiver, &queue}, 1s) == Ready{&b, &receiver, &queue});
  CHECK(b.recv() == 1);
  CHECK(mp::wait({&b, &receiver, &queue}, -1s) == Ready{&receiver, &queue});
}

TEST_CASE("where something is ready the kernel is not asked, also after a wait that slept",
          "[wait]") {
  auto const pipe = mp::Pipe<int>();
  auto const channel = mp::Channel<int>();
  mp::Queue<int> const queue;
  std::array<mp::Waitable, 3> const all{&pipe.second, &channel.second, &queue};
  auto const wait_often = [&](int times) {
    return support::system_calls_of([&] {
      static_cast<void>(queue.try_get());     // an earlier child's
      static_cast<void>(mp::wait(all, 1ms));  // all have descriptors then
      queue.put(1);
      for (int i = 0; i < times; ++i) {
        if (mp::wait(all).size() != 1) std::abort();
      }
    });
  };
  auto const once = wait_often(0);
  CHECK(wait_often(1000) < once + 500);  // how often a spin yields differs
}

TEST_CASE("wait is woken by a message from another process", "[wait]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Queue<int> const queue;
  mp::Semaphore const go(0);
  mp::Process process(
      [](mp::Semaphore const& turns, mp::Queue<int> const& out, mp::Connection<int> const& end) {
        turns.acquire();
        end.send(1);
        turns.acquire();
        out.put(2);
        turns.acquire();
      },
      go, queue, std::move(child));
  process.start();
  for (int round = 0; round < 2; ++round) {
    go.release();
    auto const ready = mp::wait({&parent, &queue, process.sentinel()});
    REQUIRE(ready.size() == 1);
    if (ready[0] == mp::Waitable(&parent)) {
      CHECK(parent.recv() == 1);
    } else {
      CHECK(queue.get() == 2);
    }
  }
  go.release();
  auto const ready = mp::wait({process.sentinel(), &queue});
  CHECK(ready == Ready{process.sentinel()});
  process.join();
  CHECK(mp::wait({&parent}) == Ready{&parent});  // the end of file
}

TEST_CASE("wait ends when the one who has the other end is killed", "[wait]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Process process([](mp::Connection<int> const&) { ::pause(); }, std::move(child));
  process.start();
  auto killer = support::killer_of(*process.pid());
  CHECK(mp::wait({&parent}) == Ready{&parent});
  CHECK_THROWS_AS(parent.recv(), mp::EOFError);
  process.join();
  killer.wait();
}

TEST_CASE("a descriptor of a connection works under epoll: consume, and it is armed again",
          "[wait]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Queue<bool> const go;
  mp::Process process(
      [](mp::Queue<bool> const& goes_on, mp::Connection<int> const& end) {
        end.send(-1);
        for (int i = 0; goes_on.get(); ++i) end.send(i);
      },
      go, std::move(child));
  process.start();
  REQUIRE(parent.recv() == -1);
  multiprocessing::os::Fd const epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {}};
  REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, parent.fileno(), &event) == 0);
  // It may be readable to ask again who is there, at first.
  auto const consume_until_armed = [&, &end = parent] {
    do {
      CHECK(end.try_recv() == std::nullopt);
    } while (::epoll_wait(epoll.get(), &event, 1, 0) == 1);
  };
  consume_until_armed();
  for (int i = 0; i < 3; ++i) {
    go.put(true);
    std::optional<int> received;
    while (!received) {
      REQUIRE(::epoll_wait(epoll.get(), &event, 1, -1) == 1);
      received = parent.try_recv();
    }
    CHECK(received == i);
    consume_until_armed();
  }
  go.put(false);
  REQUIRE(::epoll_wait(epoll.get(), &event, 1, -1) == 1);
  CHECK_THROWS_AS(parent.recv(), mp::EOFError);
  process.join();
}

TEST_CASE("waiting without anything to wait for passes the time", "[wait]") {
  CHECK(mp::wait({}, 1ms).empty());
}

TEST_CASE("processes start while another thread arms descriptors", "[wait]") {
  auto [parent, child] = mp::Pipe<int>();
  static_cast<void>(parent.fileno());
  std::atomic<bool> is_over{false};
  std::thread other([&, parent = parent] {
    while (!is_over) static_cast<void>(parent.try_recv());
  });
  long const rounds = support::setting("MULTIPROCESSING_TEST_FORKS", 40);
  for (long i = 0; i < rounds; ++i) {
    mp::Process process([](mp::Connection<int> const& end) { static_cast<void>(end.try_recv()); },
                        parent);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
  }
  is_over = true;
  other.join();
}

}  // namespace wait_test
