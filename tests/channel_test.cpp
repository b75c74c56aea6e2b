// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel.hpp>

#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace channel_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEST_CASE("what goes in at one half of a channel comes out at the other", "[channel]") {
  auto const [sender, receiver] = mp::Channel<std::string>();
  sender.put("first");
  sender.put("second", 1s);
  CHECK(sender.try_put("third"));
  CHECK(receiver.get() == "first");
  CHECK(receiver.get(1s) == "second");
  CHECK(receiver.try_get() == "third");
  CHECK_THROWS_AS(receiver.get_nowait(), mp::Empty);
}

TEST_CASE("a channel holds as much as it may", "[channel]") {
  auto const [sender, receiver] = mp::Channel<int>(2);
  sender.put(1);
  sender.put(2);
  CHECK_THROWS_AS(sender.put_nowait(3), mp::Full);
  CHECK_FALSE(sender.put_for(3, 1ms));
  CHECK(receiver.get() == 1);
  sender.put_nowait(3);
}

TEST_CASE("a receiver sees the end when all senders are gone, however they went", "[channel]") {
  auto [sender, receiver] = mp::Channel<int>();
  auto const put_and_go = [](int way, mp::Sender<int> end) {
    end.put(way);
    if (way == 0) std::raise(SIGKILL);
    if (way == 1) end.close();
  };
  std::vector<mp::Process> senders;
  for (int s = 0; s < 3; ++s) {
    senders.emplace_back(put_and_go, s, sender);
    senders.back().start();
  }
  sender.close();
  CHECK(sender.closed());
  int sum = 0;
  for (int const item : receiver) sum += item;
  CHECK(sum == 3);
  CHECK_THROWS_AS(receiver.get(), mp::EOFError);
  CHECK_THROWS_AS(receiver.try_get(), mp::EOFError);
  CHECK_THROWS_AS(sender.put(1), std::system_error);
  for (auto& process : senders) process.join();
}

TEST_CASE("a sender learns that all receivers are gone", "[channel]") {
  auto [sender, receiver] = mp::Channel<int>(1);
  std::vector<mp::Process> receivers;
  auto const get_and_die = [](mp::Receiver<int> const& end) {
    end.get();
    std::raise(SIGKILL);
  };
  for (int r = 0; r < 2; ++r) {
    receivers.emplace_back(get_and_die, receiver);
    receivers.back().start();
  }
  receiver.close();
  auto const put_for_ever = [&sender = sender] {
    for (;;) sender.put(1);
  };
  CHECK_THROWS_AS(put_for_ever(), mp::BrokenPipeError);
  for (auto& process : receivers) process.join();
  CHECK_THROWS_AS(sender.try_put(1), mp::BrokenPipeError);
}

TEST_CASE("a child has the halves that it was given", "[channel]") {
  auto [sender, receiver] = mp::Channel<int>();
  mp::Process child({.start_method = mp::StartMethod::fork},
                    [receiver = receiver, &sender = sender] {
                      try {
                        sender.put(1);
                      } catch (std::system_error const&) {
                        mp::exit(receiver.get());
                      }
                    });
  child.start();
  sender.put(5);
  child.join();
  CHECK(child.exitcode() == 5);
}

TEST_CASE("several take from one channel, each item goes to one", "[channel]") {
  auto [work, worker] = mp::Channel<int>(10);
  auto [result, collector] = mp::Channel<int>();
  auto const double_all = [](mp::Receiver<int> const& in, mp::Sender<int> const& out) {
    for (int const item : in) out.put(2 * item);
  };
  std::vector<mp::Process> workers;
  for (int w = 0; w < 3; ++w) {
    workers.emplace_back(double_all, worker, result);
    workers.back().start();
  }
  worker.close();
  result.close();
  constexpr int kItems = 1000;
  for (int i = 0; i < kItems; ++i) work.put(i);
  work.close();
  long sum = 0;
  int count = 0;
  for (int const item : collector) {
    sum += item;
    ++count;
  }
  CHECK(count == kItems);
  CHECK(sum == static_cast<long>(kItems) * (kItems - 1));
  for (auto& process : workers) process.join();
}

TEST_CASE("a dropped channel leaves nothing", "[channel]") {
  auto& arena = mp::shm::Heap::instance().arena();
  auto const before = arena.used_blocks();
  {
    auto const [sender, receiver] = mp::Channel<std::string>();
    sender.put(std::string(50'000, 'x'));
    sender.put("x");
  }
  CHECK(arena.used_blocks() == before);
}

}  // namespace channel_test
