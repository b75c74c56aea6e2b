// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/futex.hpp>

#include <thread>

#include "../support/catch.hpp"

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

TEST_CASE("a futex wait returns at once when the word has changed", "[futex]") {
  os::FutexWord word{1};
  CHECK(os::futex_wait(word, 0, Deadline::never()) == os::FutexResult::MaybeChanged);
}

TEST_CASE("a futex wait ends at its deadline, not before", "[futex]") {
  os::FutexWord word{1};
  auto const deadline = Deadline::after(20ms);
  auto result = os::FutexResult::MaybeChanged;
  while (result == os::FutexResult::MaybeChanged) result = os::futex_wait(word, 1, deadline);
  CHECK(result == os::FutexResult::TimedOut);
  CHECK(deadline.passed());
}

TEST_CASE("either of two words ends a wait for both", "[futex]") {
  os::FutexWord first{0};
  os::FutexWord second{0};
  auto const wait = [&](Deadline deadline) {
    return os::futex_wait_either({&first, 0}, {&second, 0}, deadline);
  };
  if (wait(Deadline::after(0s)) == os::FutexResult::Unsupported) {
    WARN("this kernel has no futex_waitv");
    return;
  }
  for (auto* word : {&first, &second}) {
    std::thread waker([word] {
      word->store(1);
      os::futex_wake(*word);
    });
    while (word->load() == 0) static_cast<void>(wait(Deadline::never()));
    waker.join();
    CHECK(wait(Deadline::never()) == os::FutexResult::MaybeChanged);
    word->store(0);
  }
  auto const deadline = Deadline::after(20ms);
  auto result = os::FutexResult::MaybeChanged;
  while (result == os::FutexResult::MaybeChanged) result = wait(deadline);
  CHECK(result == os::FutexResult::TimedOut);
  CHECK(deadline.passed());
}
