// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/asio.hpp>

#ifdef BOOST_ASIO_HAS_CO_AWAIT

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <multiprocessing/channel.hpp>
#include <multiprocessing/queue.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"

namespace asio_test {

namespace asio = boost::asio;
namespace mp = multiprocessing;

namespace {

/// What an awaitable came to, once the loop has run.
template <class T>
struct Outcome {
  std::exception_ptr error;
  std::optional<T> value;

  bool is_there() const { return error != nullptr || value.has_value(); }
  T get() const {
    if (error) std::rethrow_exception(error);
    return value.value();
  }
  auto handler() {
    return [this](std::exception_ptr thrown, T result) {
      error = thrown;
      if (!thrown) value = std::move(result);
    };
  }
};

/// Runs a loop until the awaitable is done.
template <class T>
T run(asio::awaitable<T> awaitable) {
  asio::io_context loop;
  Outcome<T> outcome;
  asio::co_spawn(loop, std::move(awaitable), outcome.handler());
  loop.run();
  return outcome.get();
}
void run(asio::awaitable<void> awaitable) {
  asio::io_context loop;
  std::exception_ptr error;
  asio::co_spawn(loop, std::move(awaitable), [&](std::exception_ptr thrown) { error = thrown; });
  loop.run();
  if (error) std::rethrow_exception(error);
}

}  // namespace

TEST_CASE("what is there is taken without a descriptor", "[asio]") {
  auto [a, b] = mp::Pipe<int>();
  auto [untyped_a, untyped_b] = mp::Pipe();
  auto [sender, receiver] = mp::Channel<std::string>();
  mp::Queue<int> const queue;
  mp::JoinableQueue<int> const joinable;
  a.send(1);
  untyped_a.send(std::string("two"));
  sender.put("three");
  queue.put(4);
  joinable.put(5);
  auto const before = support::open_fds();
  CHECK(run(mp::async_recv(b)) == 1);
  CHECK(run(mp::async_recv<std::string>(untyped_b)) == "two");
  CHECK(run(mp::async_get(receiver)) == "three");
  CHECK(run(mp::async_get(queue)) == 4);
  CHECK(run(mp::async_get(joinable)) == 5);
  CHECK(support::open_fds() == before);
}

TEST_CASE("a coroutine is woken by messages of another process", "[asio]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Queue<int> const queue;
  mp::Process process([queue, child = std::move(child)] {
    for (int i = 0; child.recv() == i; ++i) {
      support::wait_until_asleep(::getppid());
      i % 2 == 0 ? child.send(i) : queue.put(i);
    }
  });
  process.start();
  run([](auto connection, auto from, mp::Process& worker) -> asio::awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      connection.send(i);
      int const got =
          i % 2 == 0 ? co_await mp::async_recv(connection) : co_await mp::async_get(from);
      CHECK(got == i);
    }
    connection.send(-1);
    co_await mp::async_join(worker);
  }(parent, queue, process));
  CHECK(process.exitcode() == 0);
  run(mp::async_join(process));  // again
}

TEST_CASE("the end of what is waited for is thrown", "[asio]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Queue<int> const queue;
  auto [sender, receiver] = mp::Channel<int>();
  mp::Process process([queue, child = std::move(child), sender = std::move(sender)] {
    support::wait_until_asleep(::getppid());
    queue.shutdown();
    support::wait_until_asleep(::getppid());
    child.send(1);
  });
  process.start();
  CHECK_THROWS_AS(run(mp::async_get(queue)), mp::ShutDown);
  CHECK(run(mp::async_recv(parent)) == 1);
  CHECK_THROWS_AS(run(mp::async_recv(parent)), mp::EOFError);
  CHECK_THROWS_AS(run(mp::async_get(receiver)), mp::EOFError);
  CHECK_THROWS_AS(run(mp::async_recv(parent)), mp::EOFError);
  run(mp::async_join(process));
}

TEST_CASE("what the blocking call refuses is refused", "[asio]") {
  mp::Process process([] {});
  CHECK_THROWS_AS(run(mp::async_join(process)), std::logic_error);
  auto [a, b] = mp::Pipe<int>();
  b.close();
  CHECK_THROWS_AS(run(mp::async_recv(b)), std::system_error);
}

TEST_CASE("a killed sender ends the wait for its messages, and for its end", "[asio]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Process process([child = std::move(child)] { ::pause(); });
  process.start();
  auto killer = support::killer_of(*process.pid());
  CHECK_THROWS_AS(run(mp::async_recv(parent)), mp::EOFError);
  run(mp::async_join(process));
  CHECK(process.exitcode() == -SIGKILL);
  killer.wait();
}

TEST_CASE("who is woken for a message that another has taken waits on", "[asio]") {
  auto [a, b] = mp::Pipe<int>();
  asio::io_context loop;
  Outcome<int> outcome;
  asio::co_spawn(loop, mp::async_recv(b), outcome.handler());
  loop.poll();
  for (int i = 0; i < 3; ++i) {
    a.send(i);
    REQUIRE(b.recv() == i);  // the descriptor stays readable
    loop.poll();
    REQUIRE(!outcome.is_there());
  }
  a.send(3);
  loop.run();
  CHECK(outcome.get() == 3);
}

TEST_CASE("two coroutines on two connections get what is theirs", "[asio]") {
  auto [parent_1, child_1] = mp::Pipe<int>();
  auto [parent_2, child_2] = mp::Pipe<int>();
  mp::Process echo([one = std::move(child_1), two = std::move(child_2)] {
    for (int i = 0; i < 20; ++i) {
      two.send(two.recv() + 1000);
      one.send(one.recv() + 1);
    }
  });
  echo.start();
  asio::io_context loop;
  auto const talk = [](auto connection, int added) -> asio::awaitable<int> {
    int right = 0;
    for (int i = 0; i < 20; ++i) {
      connection.send(i);
      right += co_await mp::async_recv(connection) == i + added;
    }
    co_return right;
  };
  Outcome<int> first, second;
  asio::co_spawn(loop, talk(parent_1, 1), first.handler());
  asio::co_spawn(loop, talk(parent_2, 1000), second.handler());
  loop.run();
  CHECK(first.get() == 20);
  CHECK(second.get() == 20);
  echo.join();
}

TEST_CASE("two coroutines on one queue get an item each", "[asio]") {
  mp::Queue<int> const queue;
  asio::io_context loop;
  Outcome<int> first, second;
  asio::co_spawn(loop, mp::async_get(queue), first.handler());
  asio::co_spawn(loop, mp::async_get(queue), second.handler());
  loop.poll();
  queue.put(1);
  loop.poll();
  CHECK(first.is_there() != second.is_there());
  queue.put(2);
  loop.run();
  CHECK(first.get() + second.get() == 3);
}

TEST_CASE("a cancelled wait has taken nothing, and the connection is as before", "[asio]") {
  auto [a, b] = mp::Pipe<int>();
  auto const fd = b.fileno();
  auto const before = support::open_fds();
  for (int i = 0; i < 2; ++i) {
    asio::io_context loop;
    Outcome<int> outcome;
    asio::cancellation_signal signal;
    asio::co_spawn(loop, mp::async_recv(b),
                   asio::bind_cancellation_slot(signal.slot(), outcome.handler()));
    loop.poll();
    signal.emit(asio::cancellation_type::terminal);
    loop.run();
    CHECK_THROWS_AS(outcome.get(), boost::system::system_error);
  }
  CHECK(support::open_fds() == before);
  CHECK(b.fileno() == fd);
  a.send(1);
  CHECK(run(mp::async_recv(b)) == 1);
}

TEST_CASE("a loop that is gone leaves nothing of its waits", "[asio]") {
  auto [a, b] = mp::Pipe<int>();
  support::Pipe up;
  mp::Process process([&up] {
    up.tell();
    ::pause();
  });
  process.start();
  up.hear();  // it has given up the ends, so that none is watched for its sake
  auto const fd = b.fileno();
  auto const before = support::open_fds();
  {
    asio::io_context loop;
    asio::co_spawn(loop, mp::async_recv(b), asio::detached);
    asio::co_spawn(loop, mp::async_join(process), asio::detached);
    loop.poll();
    loop.stop();
  }
  CHECK(support::open_fds() == before);
  CHECK(b.fileno() == fd);
  a.send(1);
  CHECK(run(mp::async_recv(b)) == 1);
  CHECK(!process.join_for(std::chrono::milliseconds(1)));
  process.kill();
  process.join();
}

TEST_CASE("a child that is forked during a wait does not keep it registered", "[asio]") {
  auto [a, b] = mp::Pipe<int>();
  asio::io_context loop;
  std::vector<int> got;
  asio::co_spawn(
      loop,
      [](auto from, auto& to) -> asio::awaitable<void> {
        for (int i = 0; i < 2; ++i) to.push_back(co_await mp::async_recv(from));
      }(b, got),
      asio::detached);
  loop.poll();
  support::RawChild const child([] { ::pause(); });
  a.send(1);
  loop.poll();
  a.send(2);
  loop.run();
  CHECK(got == std::vector{1, 2});
}

}  // namespace asio_test

#endif  // BOOST_ASIO_HAS_CO_AWAIT
