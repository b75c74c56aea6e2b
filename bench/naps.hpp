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
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace bench {

constexpr auto kNap = std::chrono::milliseconds(2);
constexpr int kNaps = 200;  // a measured time would have some sleep for an hour

/// Times that are taken one by one.
class Samples {
 public:
  explicit Samples(::benchmark::State& state, std::string prefix = {})
      : state_(state), prefix_(std::move(prefix)) {}
  ~Samples() {
    if (seconds_.empty()) return;
    std::sort(seconds_.begin(), seconds_.end());
    state_.counters[prefix_ + "p50_us"] = at(0.5);
    state_.counters[prefix_ + "p99_us"] = at(0.99);
  }
  /// What the benchmark is about.
  void add(std::chrono::steady_clock::duration time) {
    note(time);
    state_.SetIterationTime(seconds_.back());
  }
  void note(std::chrono::steady_clock::duration time) {
    seconds_.push_back(std::chrono::duration<double>(time).count());
  }

 private:
  double at(double part) const {
    constexpr double kMicroseconds = 1e6;
    return seconds_[static_cast<std::size_t>(part * static_cast<double>(seconds_.size() - 1))] *
           kMicroseconds;
  }

  ::benchmark::State& state_;
  std::string const prefix_;
  std::vector<double> seconds_;
};

/// How long it takes after a nap.
template <class Call>
std::chrono::steady_clock::duration after_nap(Call const& call) {
  std::this_thread::sleep_for(kNap);
  auto const begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::steady_clock::now() - begin;
}
template <class Call>
void time_after_nap(::benchmark::State& state, Call const& call) {
  Samples samples(state);
  for (auto _ : state) samples.add(after_nap(call));
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

/// ... beside two wake-ups by a futex, the floor of a call of another process: in turns, because
/// the machine changes its mind about how long a processor takes to wake.
template <class Call>
void time_beside_futex(::benchmark::State& state, Call const& call) {
  OnFutex futex;
  Samples samples(state);
  Samples floor(state, "futex_");
  for (auto _ : state) {
    samples.add(after_nap(call));
    floor.note(after_nap([&] { futex.call(); }));
  }
}

}  // namespace bench
