// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pipe.hpp>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace pipe_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

std::vector<std::byte> bytes_of(std::size_t size, int seed = 1) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(seed));
  }
  return bytes;
}

}  // namespace

TEST_CASE("messages arrive in order and whole, of any size", "[pipe]") {
  auto [left, right] = mp::Pipe<std::string>();
  std::vector<std::size_t> const sizes{0,    1,    7,    8,    9,      55,
                                       4000, 8191, 8192, 8193, 70'000, 5'000'000};
  for (auto const size : sizes) left.send(std::string(size, 'x'));
  for (auto const size : sizes) CHECK(right.recv() == std::string(size, 'x'));
  CHECK_FALSE(right.poll());
}

TEST_CASE("both directions carry messages of their own types", "[pipe]") {
  auto [left, right] = mp::Pipe<int, std::string>();
  left.send(42);
  right.send("answer");
  CHECK(right.recv() == 42);
  CHECK(left.recv() == "answer");
}

TEST_CASE("a process echoes what it is sent, and ends with the pipe", "[pipe]") {
  auto [parent, child] = mp::Pipe<std::vector<int>>();
  mp::Process echo(
      [](mp::Connection<std::vector<int>> const& connection) {
        try {
          for (;;) connection.send(connection.recv());
        } catch (mp::EOFError const&) {
          mp::exit(7);
        }
      },
      std::move(child));
  echo.start();
  for (int n : {0, 1, 100, 100'000}) {
    std::vector<int> numbers(static_cast<std::size_t>(n));
    std::iota(numbers.begin(), numbers.end(), 0);
    parent.send(numbers);
    CHECK(parent.recv() == numbers);
  }
  parent.close();
  echo.join();
  CHECK(echo.exitcode() == 7);
}

TEST_CASE("what was sent before the sender was killed is received, then the end of file",
          "[pipe]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Process sender(
      [](mp::Connection<int> const& end) {
        for (int i = 0; i < 1000; ++i) end.send(i);
        std::raise(SIGKILL);
      },
      std::move(child));
  sender.start();
  for (int i = 0; i < 1000; ++i) REQUIRE(parent.recv() == i);
  CHECK_THROWS_AS(parent.recv(), mp::EOFError);
  CHECK_THROWS_AS(parent.recv(), mp::EOFError);
  CHECK(parent.poll());
  sender.join();
  CHECK_THROWS_AS(parent.send(1), mp::BrokenPipeError);
}

TEST_CASE("a sender that waits for room learns that its reader was killed", "[pipe]") {
  auto [parent, child] = mp::Pipe<std::string>();
  mp::Process reader(
      [](mp::Connection<std::string> const& end) {
        static_cast<void>(end.recv());
        std::raise(SIGKILL);
      },
      std::move(child));
  reader.start();
  auto const send_for_ever = [&parent = parent] {
    for (;;) parent.send(std::string(1000, 'x'));
  };
  CHECK_THROWS_AS(send_for_ever(), mp::BrokenPipeError);
  reader.join();
}

TEST_CASE("a receiver that sleeps is woken by a message", "[pipe]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Event const ready;
  mp::Process reader(
      [](mp::Event const& begun, mp::Connection<int> const& end) {
        begun.set();
        mp::exit(end.recv());
      },
      ready, std::move(child));
  reader.start();
  ready.wait();
  support::wait_until_asleep(*reader.pid());
  parent.send(5);
  reader.join();
  CHECK(reader.exitcode() == 5);
}

TEST_CASE("brothers do not keep each other's ends open", "[pipe]") {
  auto [parent, child] = mp::Pipe<int>();
  mp::Process first([](mp::Connection<int> const& end) { end.send(1); }, std::move(child));
  mp::Event const go;
  // Where it is a copy of this process it is made while this has all ends.
  mp::Process second([](mp::Event const& told) { told.wait(); }, go);
  second.start();
  first.start();
  CHECK(parent.recv() == 1);
  CHECK_THROWS_AS(parent.recv(), mp::EOFError);
  go.set();
  first.join();
  second.join();
}

TEST_CASE("an end that was not given to a child can not be used there", "[pipe]") {
  auto [left, right] = mp::Pipe<int>();
  mp::Process process({.start_method = mp::StartMethod::fork}, [&left = left] {
    try {
      left.send(1);
    } catch (std::system_error const&) {
      mp::exit(3);
    }
  });
  process.start();
  process.join();
  CHECK(process.exitcode() == 3);
}

TEST_CASE("a wait that only the waiting thread could end is refused", "[pipe]") {
  auto [left, right] = mp::Pipe<int>();
  CHECK_THROWS_AS(left.recv(), std::system_error);
}

TEST_CASE("timeouts pass, and lose nothing", "[pipe]") {
  auto [left, right] = mp::Pipe<int>();
  mp::Event const go;
  mp::Process holder([](mp::Event const& told, mp::Connection<int> const&) { told.wait(); }, go,
                     right);
  holder.start();
  CHECK(left.recv_for(20ms) == std::nullopt);
  CHECK(left.try_recv() == std::nullopt);
  CHECK_FALSE(left.poll(1ms));
  right.send(1);
  CHECK(left.poll(10s));
  CHECK(left.recv_for(10s) == 1);
  while (left.send_for(1, 0s)) {
  }
  CHECK_FALSE(left.try_send(1));
  CHECK_FALSE(left.send_for(1, 10ms));
  go.set();
  holder.join();
}

TEST_CASE("bytes keep their boundaries, and too short a room loses no message", "[pipe]") {
  auto [left, right] = mp::Pipe();
  auto const large = bytes_of(100'000);
  left.send_bytes(bytes_of(10));
  left.send_bytes({});
  left.send_bytes(large, 99'000);
  left.send_bytes(large, 5, 3);
  left.send_bytes(large);
  CHECK(right.recv_bytes() == bytes_of(10));
  CHECK(right.poll());
  CHECK(right.poll());
  CHECK(right.recv_bytes().empty());
  std::vector<std::byte> room(1010);
  CHECK(right.recv_bytes_into(room, 10) == 1000);
  CHECK(std::equal(room.begin() + 10, room.end(), large.begin() + 99'000));
  CHECK(room[9] == std::byte{});
  std::vector<std::byte> small(2);
  try {
    right.recv_bytes_into(small);
    FAIL("it fits");
  } catch (mp::BufferTooShort const& error) {
    CHECK(error.size() == 3);
  }
  CHECK(right.recv_bytes(3) == std::vector(large.begin() + 5, large.begin() + 8));
  CHECK_THROWS_AS(right.recv_bytes(99'999), mp::BufferTooShort);
  CHECK(right.recv_bytes() == large);
  CHECK_THROWS_AS(left.send_bytes(large, 100'001), std::invalid_argument);
  CHECK_THROWS_AS(left.send_bytes(large, 10, 99'991), std::invalid_argument);
  CHECK_THROWS_AS(right.recv_bytes_into(small, 3), std::invalid_argument);
}

TEST_CASE("an untyped pipe tells types apart", "[pipe]") {
  auto [left, right] = mp::Pipe();
  left.send(1);
  left.send(std::string("text"));
  left.send(2.5);
  CHECK(right.recv<int>() == 1);
  CHECK_THROWS_AS(right.recv<int>(), mp::TypeError);
  CHECK(right.recv<double>() == 2.5);
  left.send_bytes(bytes_of(3));
  CHECK_THROWS_AS(right.recv<int>(), mp::TypeError);
}

TEST_CASE("a loan arrives where it was written", "[pipe]") {
  auto [left, right] = mp::Pipe();
  for (std::size_t const size : {0U, 1U, 64U, 100'000U, 30'000'000U}) {
    auto loan = left.loan(size);
    REQUIRE(loan.bytes().size() == size);
    auto const expected = bytes_of(size);
    std::copy(expected.begin(), expected.end(), loan.bytes().begin());
    left.send(std::move(loan));
    auto const view = right.recv_view();
    REQUIRE(view.bytes().size() == size);
    CHECK(std::equal(expected.begin(), expected.end(), view.bytes().begin()));
  }
}

TEST_CASE("one way is one way", "[pipe]") {
  auto [reader, writer] = mp::Pipe<int>(mp::one_way);
  CHECK(reader.readable());
  CHECK_FALSE(reader.writable());
  CHECK(writer.writable());
  CHECK_FALSE(writer.readable());
  writer.send(3);
  CHECK(reader.recv() == 3);
  writer.close();
  CHECK(writer.closed());
  CHECK_FALSE(writer.writable());
  CHECK_THROWS_AS(writer.send(1), std::system_error);
  CHECK_THROWS_AS(reader.recv(), mp::EOFError);
}

TEST_CASE("several threads send and receive at one pipe, and each message arrives once", "[pipe]") {
  constexpr int kEach = 20'000;
  auto [left, right] = mp::Pipe<std::pair<int, int>>();
  std::vector<std::vector<int>> seen(3, std::vector<int>(kEach));
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (int s = 0; s < 3; ++s) {
      threads.emplace_back([&left = left, s] {
        for (int i = 0; i < kEach; ++i) left.send(std::pair(s, i));
      });
    }
    for (int r = 0; r < 3; ++r) {
      threads.emplace_back([&, &right = right] {
        for (int i = 0; i < kEach; ++i) {
          auto const [who, what] = right.recv();
          std::lock_guard const guard(mutex);
          ++seen[static_cast<std::size_t>(who)][static_cast<std::size_t>(what)];
        }
      });
    }
  }
  for (auto const& each : seen) CHECK(each == std::vector<int>(kEach, 1));
}

TEST_CASE("close() in one thread ends the wait of another", "[pipe]") {
  auto [left, right] = mp::Pipe<int>();
  std::jthread const waiter([&left = left] { CHECK_THROWS_AS(left.recv(), std::system_error); });
  left.close();
}

namespace {
void use_what_arrives(mp::Connection<mp::Any> const& end) {
  auto const lock = end.recv<mp::Lock>();
  auto const value = end.recv<mp::Value<int>>();
  auto const queue = end.recv<mp::Queue<std::string>>();
  auto const many = end.recv<std::vector<mp::Event>>();
  auto const connection = end.recv<mp::Connection<int>>();
  {
    std::scoped_lock const guard(lock);
    value = 7;
    queue.put("from afar");
  }
  for (auto const& event : many) event.set();
  connection.send(connection.recv() + 1);
}
}  // namespace

TEST_CASE("shared objects travel to a process that was started before they were made", "[pipe]") {
  auto [parent, child] = mp::Pipe();
  mp::Process process(use_what_arrives, std::move(child));
  process.start();
  mp::Lock const lock;
  mp::Value<int> const value(0);
  mp::Queue<std::string> const queue;
  std::vector<mp::Event> const many(3);
  auto [near, far] = mp::Pipe<int>();
  parent.send(lock);
  parent.send(value);
  parent.send(queue);
  parent.send(many);
  parent.send(far);
  far.close();
  for (auto const& event : many) event.wait();
  CHECK(queue.get() == "from afar");
  CHECK(value.value() == 7);
  near.send(1);
  CHECK(near.recv() == 2);
  process.join();
  CHECK_THROWS_AS(near.recv(), mp::EOFError);
}

TEST_CASE("an end in a message on its way is not the end of file", "[pipe]") {
  auto [outer_left, outer_right] = mp::Pipe<mp::Connection<int>>();
  auto [left, right] = mp::Pipe<int>();
  outer_left.send(right);
  right.close();
  left.send(5);  // to whoever will take the end
  auto const taken = outer_right.recv();
  CHECK(taken.recv() == 5);
  taken.close();
  CHECK_THROWS_AS(left.recv(), mp::EOFError);
}

TEST_CASE("what was sent or moved has no bytes", "[pipe]") {
  auto [here, there] = mp::Pipe();
  auto loan = here.loan(10);
  CHECK(loan.bytes().size() == 10);
  here.send(std::move(loan));
  CHECK(loan.bytes().empty());  // NOLINT: that is the point
  auto view = there.recv_view();
  auto const moved = std::move(view);
  CHECK(view.bytes().empty());  // NOLINT
  CHECK(moved.bytes().size() == 10);
}

}  // namespace pipe_test
