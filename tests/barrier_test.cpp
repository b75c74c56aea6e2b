// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/barrier.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <sstream>
#include <thread>
#include <vector>

#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"

namespace barrier_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

constexpr int kBroken = 100;

/// The number of this party; kBroken.
int wait_at(mp::Barrier const& barrier) {
  try {
    return barrier.wait();
  } catch (mp::BrokenBarrierError const&) {
    return kBroken;
  }
}

/// Processes that wait at a barrier, asleep.
std::vector<std::unique_ptr<support::RawChild>> waiters(int count, mp::Barrier const& barrier) {
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (int i = 0; i < count; ++i) {
    children.push_back(
        std::make_unique<support::RawChild>([&barrier] { return wait_at(barrier); }));
    support::wait_until_asleep(children.back()->pid());
  }
  return children;
}

std::vector<int> results_of(std::vector<std::unique_ptr<support::RawChild>>& children) {
  std::vector<int> results;
  for (auto& child : children) results.push_back(WEXITSTATUS(child->wait()));
  return results;
}

/// With all the other parties, who do the same.
void march(mp::Barrier const& barrier, mp::Value<long> const& before, mp::Value<long> const& after,
           mp::Value<int> const& wrong, long rounds) {
  for (long round = 1; round <= rounds; ++round) {
    before.update([](long& n) { ++n; });
    barrier.wait();
    if (before.value() != round * barrier.parties()) wrong = 1;
    after.update([](long& n) { ++n; });
    barrier.wait();
    if (after.value() != round * barrier.parties()) wrong = 1;
  }
}

}  // namespace

TEST_CASE("parties pass in lock-step, processes and threads, round after round",
          "[barrier][stress]") {
  for (int const parties : {1, 2, 5}) {
    mp::Barrier const barrier(parties);
    mp::Value<long> const before(0);
    mp::Value<long> const after(0);
    mp::Value<int> const wrong(0);
    long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 300);
    std::vector<mp::Process> processes;
    for (int i = 2; i < parties; ++i) {
      processes.emplace_back(march, barrier, before, after, wrong, rounds).start();
    }
    std::thread thread([=] {
      if (parties > 1) march(barrier, before, after, wrong, rounds);
    });
    march(barrier, before, after, wrong, rounds);
    thread.join();
    for (auto& process : processes) process.join();
    CHECK(wrong.value() == 0);
    CHECK(before.value() == rounds * parties);
    CHECK(barrier.n_waiting() == 0);
    CHECK_FALSE(barrier.broken());
  }
}

TEST_CASE("each party gets a number of its own", "[barrier]") {
  mp::Barrier const barrier(4);
  auto children = waiters(3, barrier);
  CHECK(barrier.n_waiting() == 3);
  CHECK(to_string(barrier) == "<Barrier(parties=4, waiting=3)>");
  int const own = barrier.wait();
  auto numbers = results_of(children);
  numbers.push_back(own);
  std::sort(numbers.begin(), numbers.end());
  CHECK(numbers == std::vector{0, 1, 2, 3});
}

TEST_CASE("the action runs once, before anybody goes on", "[barrier]") {
  mp::Value<int> const runs(0);
  mp::Barrier const barrier({.action = [=] { runs.update([](int& n) { ++n; }); }}, 3);
  std::vector<mp::Process> processes;
  mp::Value<int> const early(0);
  for (int i = 0; i < 3; ++i) {
    processes
        .emplace_back(mp::ProcessOptions{.start_method = mp::StartMethod::fork},  // for the action
                      [=] {
                        for (int round = 1; round <= 10; ++round) {
                          barrier.wait();
                          if (runs.value() < round) early = 1;
                        }
                      })
        .start();
  }
  for (auto& process : processes) process.join();
  CHECK(runs.value() == 10);
  CHECK(early.value() == 0);
}

TEST_CASE("an action that throws breaks the barrier, and its party learns why", "[barrier]") {
  mp::Barrier const barrier({.action = [] { throw std::out_of_range("action"); }}, 3);
  auto children = waiters(2, barrier);
  CHECK(support::message_of<std::out_of_range>([&] { barrier.wait(); }) == "action");
  CHECK(results_of(children) == std::vector{kBroken, kBroken});
  CHECK(barrier.broken());
  CHECK_THAT(support::message_of<mp::BrokenBarrierError>([&] { barrier.wait(); }),
             ContainsSubstring("Barrier.wait: the action threw an exception"));
}

TEST_CASE("abort breaks it for those who wait and those who come, until reset", "[barrier]") {
  mp::Barrier const barrier(3);
  auto children = waiters(2, barrier);
  barrier.abort();
  CHECK(results_of(children) == std::vector{kBroken, kBroken});
  CHECK(barrier.broken());
  CHECK(to_string(barrier) == "<Barrier(parties=3, broken)>");
  CHECK_THAT(support::message_of<mp::BrokenBarrierError>([&] { barrier.wait(); }),
             ContainsSubstring("Barrier.wait: the barrier was aborted"));
  CHECK_THROWS_AS(static_cast<void>(barrier.wait_for(1s)), mp::BrokenBarrierError);
  barrier.abort();
  barrier.reset();
  CHECK_FALSE(barrier.broken());
  auto again = waiters(2, barrier);
  CHECK(barrier.wait() == 2);
  CHECK(results_of(again) == std::vector{0, 1});
}

TEST_CASE("reset is for those who wait, not for who comes later", "[barrier]") {
  mp::Barrier const barrier(3);
  auto children = waiters(2, barrier);
  barrier.reset();
  CHECK(results_of(children) == std::vector{kBroken, kBroken});
  CHECK_FALSE(barrier.broken());
  CHECK(barrier.n_waiting() == 0);
  barrier.reset();
  auto again = waiters(2, barrier);
  CHECK(barrier.wait() == 2);
  CHECK(results_of(again) == std::vector{0, 1});
}

TEST_CASE("a timeout breaks it for all", "[barrier]") {
  mp::Barrier const barrier(3);
  auto children = waiters(1, barrier);
  auto const end = std::chrono::steady_clock::now() + 5ms;
  CHECK_FALSE(barrier.wait_until(end).has_value());
  CHECK(std::chrono::steady_clock::now() >= end);
  CHECK(results_of(children) == std::vector{kBroken});
  CHECK(barrier.broken());
  barrier.reset();
  CHECK_FALSE(barrier.wait_for(1ms).has_value());
  barrier.reset();
  CHECK_THAT(support::message_of<mp::BrokenBarrierError>([&] { barrier.wait(1ms); }),
             ContainsSubstring("Barrier.wait: the timeout of a party has passed"));
  mp::Barrier const impatient({.timeout = 2ms}, 2);
  CHECK_THROWS_AS(impatient.wait(), mp::BrokenBarrierError);
}

TEST_CASE("a killed party breaks it for all who wait, whoever came when", "[barrier]") {
  for (std::size_t const victim : {0U, 1U, 2U}) {
    mp::Barrier const barrier(4);
    auto children = waiters(3, barrier);
    auto const pid = std::to_string(children[victim]->pid());
    children[victim]->kill();
    children[victim]->wait();
    children.erase(children.begin() + static_cast<std::ptrdiff_t>(victim));
    CHECK(results_of(children) == std::vector{kBroken, kBroken});
    CHECK(barrier.broken());
    CHECK_THAT(support::message_of<mp::BrokenBarrierError>([&] { barrier.wait(); }),
               ContainsSubstring("Barrier.wait: process " + pid + " died waiting"));
    barrier.reset();
    auto again = waiters(3, barrier);
    CHECK(barrier.wait() == 3);
    CHECK(results_of(again) == std::vector{0, 1, 2});
  }
}

TEST_CASE("a party killed alone is found by the next one", "[barrier]") {
  mp::Barrier const barrier(2);
  auto children = waiters(1, barrier);
  children[0]->kill();
  children[0]->wait();
  CHECK_THROWS_AS(barrier.wait(), mp::BrokenBarrierError);
  barrier.reset();
  CHECK(barrier.n_waiting() == 0);
}

TEST_CASE("a killed party is missed by those who can not look at once", "[barrier]") {
  mp::Barrier const barrier(5);
  auto children = waiters(3, barrier);
  children[0]->stop();
  children[2]->stop();
  children[1]->kill();
  children[1]->wait();
  CHECK_THROWS_AS(barrier.wait(), mp::BrokenBarrierError);  // who comes before they can
  barrier.reset();
  auto next = waiters(4, barrier);  // has the places of the old ones
  children[0]->go_on();
  children[2]->go_on();
  CHECK(WEXITSTATUS(children[0]->wait()) == kBroken);
  CHECK(WEXITSTATUS(children[2]->wait()) == kBroken);
  CHECK(barrier.wait() == 4);
  CHECK(results_of(next) == std::vector{0, 1, 2, 3});
}

TEST_CASE("a timeout of another party is an exception, the own one is not", "[barrier]") {
  mp::Barrier const barrier(2);
  CHECK_FALSE(barrier.wait_for(1ms).has_value());
  CHECK_THROWS_AS(static_cast<void>(barrier.wait_for(1h)), mp::BrokenBarrierError);
}

TEST_CASE("a party killed in the action breaks it", "[barrier]") {
  support::Pipe acting;
  mp::Barrier const barrier({.action =
                                 [&] {
                                   acting.tell();
                                   for (;;) ::pause();
                                 }},
                            3);
  auto children = waiters(2, barrier);
  support::RawChild actor([&] { wait_at(barrier); });
  acting.hear();
  actor.kill();
  actor.wait();
  CHECK(results_of(children) == std::vector{kBroken, kBroken});
}

TEST_CASE("many parties are many watchers", "[barrier]") {
  constexpr int kParties = 150;  // more than one wait of the kernel can watch
  mp::Barrier const barrier(kParties);
  {
    std::vector<std::thread> threads;
    for (int i = 1; i < kParties; ++i) threads.emplace_back([&] { barrier.wait(); });
    barrier.wait();
    for (auto& thread : threads) thread.join();
  }
  support::RawChild victim([&] { wait_at(barrier); });
  support::wait_until_asleep(victim.pid());
  std::vector<std::thread> threads;
  std::atomic<int> broken{0};
  for (int i = 2; i < kParties; ++i) {
    threads.emplace_back([&] { broken += wait_at(barrier) == kBroken ? 1 : 0; });
  }
  while (barrier.n_waiting() < kParties - 1) std::this_thread::yield();
  victim.kill();
  for (auto& thread : threads) thread.join();
  CHECK(broken == kParties - 2);
}

TEST_CASE("of many parties each is watched, also the first of the few who have come", "[barrier]") {
  mp::Barrier const barrier(200);
  for (std::size_t const victim : {0U, 1U, 2U}) {
    auto children = waiters(3, barrier);
    children[victim]->kill();
    children[victim]->wait();
    children.erase(children.begin() + static_cast<std::ptrdiff_t>(victim));
    CHECK(results_of(children) == std::vector{kBroken, kBroken});
    barrier.reset();
  }
}

TEST_CASE("more threads than parties pass in turn, and nobody is told otherwise", "[barrier]") {
  mp::Barrier const barrier(2);
  std::atomic<long> passed{0};
  std::atomic<int> broken{0};
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      while (passed < rounds) {
        if (wait_at(barrier) == kBroken) {
          ++broken;
          break;
        }
        ++passed;
      }
    });
  }
  while (passed < rounds && broken == 0) std::this_thread::yield();
  CHECK(broken == 0);
  barrier.abort();  // those who wait for one more
  for (auto& thread : threads) thread.join();
}

TEST_CASE("parties that stand still on their way out keep no place from the others", "[barrier]") {
  mp::Barrier const barrier(2);
  std::vector<std::unique_ptr<support::RawChild>> stopped;
  for (int i = 0; i < 6; ++i) {
    auto children = waiters(1, barrier);
    children[0]->stop();
    CHECK(barrier.wait() == 1);
    stopped.push_back(std::move(children[0]));
  }
  CHECK_FALSE(barrier.wait_for(20ms).has_value());
  barrier.reset();
  for (auto& child : stopped) child->go_on();
  CHECK(results_of(stopped) == std::vector<int>(6, 0));
  auto children = waiters(1, barrier);
  CHECK(barrier.wait() == 1);
  CHECK(results_of(children) == std::vector{0});
}

TEST_CASE("numbers of parties that are none are refused", "[barrier]") {
  CHECK_THAT(support::message_of<std::invalid_argument>([] { mp::Barrier(0); }),
             ContainsSubstring("Barrier: the number of parties 0 is not between 1 and 1023"));
  CHECK_THROWS_AS(mp::Barrier(-1), std::invalid_argument);
  CHECK_THROWS_AS(mp::Barrier(1024), std::invalid_argument);
  CHECK(mp::Barrier(1023).parties() == 1023);
}

TEST_CASE("it prints, and copies are the same barrier", "[barrier]") {
  mp::Barrier const barrier(2);
  std::ostringstream out;
  out << barrier;
  CHECK(out.str() == "<Barrier(parties=2, waiting=0)>");
  auto const copy = barrier;
  CHECK(copy == barrier);
  CHECK(support::parcelled(barrier) == barrier);
  copy.abort();
  CHECK(barrier.broken());
}

}  // namespace barrier_test
