// SPDX-License-Identifier: BSL-1.0
// What is timed one by one, and calls after a nap, in which whoever waits falls asleep.
#pragma once

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

namespace bench {

constexpr auto kNap = std::chrono::milliseconds(2);
constexpr int kNaps = 200;  // a measured time would have some sleep for an hour

/// Times that are taken one by one.
class Samples {
 public:
  explicit Samples(::benchmark::State& state) : state_(state) {}
  ~Samples() {
    if (seconds_.empty()) return;
    std::sort(seconds_.begin(), seconds_.end());
    state_.counters["p50_us"] = at(0.5);
    state_.counters["p99_us"] = at(0.99);
  }
  void add(std::chrono::steady_clock::duration time) {
    auto const seconds = std::chrono::duration<double>(time).count();
    seconds_.push_back(seconds);
    state_.SetIterationTime(seconds);
  }

 private:
  double at(double part) const {
    constexpr double kMicroseconds = 1e6;
    return seconds_[static_cast<std::size_t>(part * static_cast<double>(seconds_.size() - 1))] *
           kMicroseconds;
  }

  ::benchmark::State& state_;
  std::vector<double> seconds_;
};

/// Without the nap.
template <class Call>
void time_after_nap(::benchmark::State& state, Call const& call) {
  Samples samples(state);
  for (auto _ : state) {
    std::this_thread::sleep_for(kNap);
    auto const begin = std::chrono::steady_clock::now();
    call();
    samples.add(std::chrono::steady_clock::now() - begin);
  }
}
/// Two words: what is asked, what is answered.
class OnFutex {
 public:
  OnFutex()
      : words_(static_cast<std::atomic<std::uint32_t>*>(
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))),
        child_(::fork()) {
    if (child_ != 0) return;
    for (std::uint32_t seen = 0;; ++seen) {
      wait(words_[0], seen);
      tell(words_[16]);
    }
  }
  ~OnFutex() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    ::munmap(words_, 4096);
  }
  void call() {
    auto const seen = words_[16].load();
    tell(words_[0]);
    wait(words_[16], seen);
  }

 private:
  static void wait(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
    while (word.load() == seen) {
      ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    }
  }
  static void tell(std::atomic<std::uint32_t>& word) {
    word.fetch_add(1);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }

  std::atomic<std::uint32_t>* words_;
  pid_t child_;
};

/// What two wake-ups take after the nap: the floor of a call of another process.
inline void parked_futex(::benchmark::State& state) {
  OnFutex futex;
  time_after_nap(state, [&] { futex.call(); });
}

}  // namespace bench
