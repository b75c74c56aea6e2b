// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/wait_word.hpp>

#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"
#include "../support/system_calls.hpp"

namespace wait_word_test {

using namespace multiprocessing::sync;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
auto at_least(std::uint32_t wanted) {
  return [=](std::uint32_t value) { return value >= wanted; };
}
Waited wait_for(WaitWord& word, std::uint32_t wanted, Deadline deadline = Deadline::never()) {
  return word.await(at_least(wanted), deadline);
}
}  // namespace

TEST_CASE("a word changes by additions and bits, and by comparison", "[wait_word]") {
  WaitWord word(5);
  word.add(3);
  CHECK(word.value() == 8);
  word.set_bits(3);
  CHECK(word.value() == 11);
  std::uint32_t expected = 10;
  CHECK_FALSE(word.exchange_quietly(expected, 1));
  CHECK(expected == 11);
  CHECK(word.exchange_quietly(expected, 1));
  CHECK(word.exchange_unwatched(2, 3) == WaitWord::Exchanged::Differs);
  CHECK(word.exchange_unwatched(1, 3) == WaitWord::Exchanged::Done);
  CHECK(word.value() == 3);
  CHECK_FALSE(word.is_watched());
}

TEST_CASE("a wait for a word ends when it is ready or at its deadline", "[wait_word]") {
  WaitWord word(1);
  CHECK(wait_for(word, 1) == Waited::Ready);
  auto const deadline = Deadline::after(5ms);
  CHECK(wait_for(word, 2, deadline) == Waited::TimedOut);
  CHECK(deadline.passed());
  CHECK(word.is_watched());  // costs a system call until somebody clears it
  std::uint32_t expected = 1;
  CHECK(word.exchange_unwatched(1, 2) == WaitWord::Exchanged::Watched);
  CHECK(word.exchange_alone(expected, 1));
  CHECK_FALSE(word.is_watched());
}

TEST_CASE("every change reaches who sleeps, between processes", "[wait_word]") {
  support::InSharedMemory<WaitWord> const word;
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    children.push_back(std::make_unique<support::RawChild>(
        [&, i] { return wait_for(*word, i) == Waited::Ready ? 0 : 1; }));
    support::wait_until_asleep(children.back()->pid());
  }
  for (auto& child : children) {
    word->add(1);
    CHECK(child->wait() == 0);
  }
}

TEST_CASE("a change says how many it wakes", "[wait_word]") {
  support::InSharedMemory<WaitWord> const word;
  auto const sleep = [&] { static_cast<void>(wait_for(*word, 1)); };
  support::RawChild first(sleep);
  support::RawChild second(sleep);
  support::wait_until_asleep(first.pid());
  support::wait_until_asleep(second.pid());
  word->add(1, 1);
  int status = 0;
  pid_t const ended = ::waitpid(-1, &status, 0);
  auto& other = ended == first.pid() ? second : first;
  (ended == first.pid() ? first : second).forget();
  support::wait_until_asleep(other.pid());
  word->add(1);
  CHECK(other.wait() == 0);
}

TEST_CASE("no change of a word that nobody sleeps on enters the kernel", "[wait_word]") {
  WaitWord word;
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 1000; ++i) {
            word.add(1);
            word.set_bits(1);
          }
        }) == 0);
}

TEST_CASE("turns pass between threads, spinning and parked", "[wait_word][threads][stress]") {
  auto const rounds =
      static_cast<std::uint32_t>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000));
  WaitWord turns;
  long guarded = 0;  // by the turns alone
  auto const play = [&](std::uint32_t first) {
    for (std::uint32_t turn = first; turn < rounds; turn += 3) {
      static_cast<void>(
          turns.await([=](std::uint32_t value) { return value == turn; }, Deadline::never()));
      ++guarded;
      turns.add(1);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 3; ++i) threads.emplace_back(play, i);
  for (auto& thread : threads) thread.join();
  CHECK(guarded == rounds);
  CHECK(turns.value() == rounds);
}

}  // namespace wait_word_test
