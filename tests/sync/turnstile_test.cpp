// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/turnstile.hpp>

#include <functional>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace turnstile_test {

using namespace multiprocessing::sync;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
std::function<void()> const kNothing;
}  // namespace

TEST_CASE("threads pass a turnstile together, round after round", "[turnstile][threads][stress]") {
  constexpr std::uint32_t kParties = 3;
  support::InSharedMemory<Turnstile> const turnstile(kParties);
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000);
  long guarded = 0;  // written by the last to come, read by all after the round
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kParties; ++i) {
    threads.emplace_back([&] {
      for (long round = 1; round <= rounds; ++round) {
        auto const passage = turnstile->pass(Deadline::never(), [&] { ++guarded; });
        if (passage.verdict != Verdict::Passed || guarded != round) wrong = true;
        if (turnstile->pass(Deadline::never(), kNothing).verdict != Verdict::Passed) {
          wrong = true;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(wrong);
  CHECK(guarded == rounds);
}

TEST_CASE("each end of a round has its verdict", "[turnstile]") {
  support::InSharedMemory<Turnstile> const turnstile(2U);
  auto const pass = [&](Deadline deadline = Deadline::never()) {
    return static_cast<int>(turnstile->pass(deadline, kNothing).verdict);
  };
  CHECK(pass(Deadline::after(1ms)) == static_cast<int>(Verdict::TimedOut));
  CHECK(turnstile->is_broken());
  CHECK(pass() == static_cast<int>(Verdict::TimedOut));
  turnstile->reset();
  CHECK_FALSE(turnstile->is_broken());
  for (auto const verdict : {Verdict::Aborted, Verdict::Reset, Verdict::Passed}) {
    support::RawChild waiter(pass);
    support::wait_until_asleep(waiter.pid());
    CHECK(turnstile->waiting() == 1);
    if (verdict == Verdict::Aborted) turnstile->abort();
    if (verdict == Verdict::Reset) turnstile->reset();
    if (verdict == Verdict::Passed) CHECK(pass() == static_cast<int>(Verdict::Passed));
    CHECK(WEXITSTATUS(waiter.wait()) == static_cast<int>(verdict));
    CHECK(turnstile->is_broken() == (verdict == Verdict::Aborted));
    turnstile->reset();
  }
  support::RawChild victim(pass);
  support::wait_until_asleep(victim.pid());
  pid_t const pid = victim.pid();
  victim.kill();
  victim.wait();
  CHECK(pass() == static_cast<int>(Verdict::PeerDied));
  CHECK(turnstile->dead() == pid);
}

TEST_CASE("more rounds than it remembers do not confuse it", "[turnstile]") {
  support::InSharedMemory<Turnstile> const turnstile(1U);
  for (int i = 0; i < 5'000; ++i) {
    REQUIRE(turnstile->pass(Deadline::never(), kNothing).verdict == Verdict::Passed);
  }
  CHECK(turnstile->waiting() == 0);
  CHECK_FALSE(turnstile->is_broken());
}

}  // namespace turnstile_test
