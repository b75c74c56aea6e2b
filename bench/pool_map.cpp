// SPDX-License-Identifier: BSL-1.0
// map over items on processes, beside the same on threads.
//
//   pool/W/N             mp::Pool::map on as many workers as processors; copies in and out
//   threads/W/N          std::threads that take chunks by an atomic, in place; made for each call
//   waiting_threads/W/N  the same on threads that wait on a condition variable between the calls
//
//   pool_in_place/W/N     mp::Pool::map on the elements of an mp::Array
//   threads_in_place/W/N  waiting threads that change the elements of a vector
//
// W: work per item, in rounds of a multiplication (0: next to nothing; 1000: about a microsecond).
// N: items. items_per_second is what to compare.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/array.hpp>
#include <multiprocessing/pool.hpp>

namespace {

std::uint32_t work(std::uint32_t x, std::uint32_t rounds) {
  for (std::uint32_t i = 0; i < rounds; ++i) x = x * 1664525 + 1013904223;
  return x + 1;
}

std::vector<std::uint32_t> items(benchmark::State const& state) {
  std::vector<std::uint32_t> result(static_cast<std::size_t>(state.range(1)));
  std::iota(result.begin(), result.end(), 0U);
  return result;
}

unsigned workers() { return static_cast<unsigned>(multiprocessing::os::usable_processors()); }

/// Cuts [0, size) as the pool does, and runs `body(begin, end)` until nothing is left.
class Chunks {
 public:
  explicit Chunks(std::size_t size)
      : size_(size), step_((size + workers() * 4 - 1) / (workers() * 4)) {}

  void run(auto const& body) {
    for (;;) {
      auto const begin = next_.fetch_add(step_, std::memory_order_relaxed);
      if (begin >= size_) return;
      body(begin, std::min(begin + step_, size_));
    }
  }

 private:
  std::size_t size_;
  std::size_t step_;
  std::atomic<std::size_t> next_{0};
};

/// Threads that run a function each time they are told to.
class WaitingThreads {
 public:
  WaitingThreads() {
    for (unsigned i = 0; i < workers(); ++i) threads_.emplace_back([this] { serve(); });
  }
  ~WaitingThreads() {
    {
      std::lock_guard const guard(mutex_);
      stop_ = true;
    }
    told_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void run(std::function<void()> function) {
    std::unique_lock lock(mutex_);
    function_ = std::move(function);
    running_ = threads_.size();
    ++round_;
    told_.notify_all();
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      std::unique_lock lock(mutex_);
      told_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
      lock.unlock();
      function_();
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable told_;
  std::condition_variable done_;
  std::function<void()> function_;
  std::uint64_t round_ = 0;
  std::size_t running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

void pool(benchmark::State& state) {
  auto const input = items(state);
  auto const rounds = static_cast<std::uint32_t>(state.range(0));
  multiprocessing::Pool pool;
  for (auto _ : state) {
    auto result = pool.map([rounds](std::uint32_t x) { return work(x, rounds); }, input);
    benchmark::DoNotOptimize(result.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void threads(benchmark::State& state) {
  auto const input = items(state);
  auto const rounds = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    std::vector<std::uint32_t> result(input.size());
    Chunks chunks(input.size());
    auto const body = [&](std::size_t begin, std::size_t end) {
      for (auto i = begin; i < end; ++i) result[i] = work(input[i], rounds);
    };
    std::vector<std::thread> running;
    for (unsigned i = 0; i < workers(); ++i) running.emplace_back([&] { chunks.run(body); });
    for (auto& thread : running) thread.join();
    benchmark::DoNotOptimize(result.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void waiting_threads(benchmark::State& state) {
  auto const input = items(state);
  auto const rounds = static_cast<std::uint32_t>(state.range(0));
  WaitingThreads crew;
  for (auto _ : state) {
    std::vector<std::uint32_t> result(input.size());
    Chunks chunks(input.size());
    auto const body = [&](std::size_t begin, std::size_t end) {
      for (auto i = begin; i < end; ++i) result[i] = work(input[i], rounds);
    };
    crew.run([&] { chunks.run(body); });
    benchmark::DoNotOptimize(result.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void pool_in_place(benchmark::State& state) {
  multiprocessing::Array<std::uint32_t> array(items(state));
  auto const rounds = static_cast<std::uint32_t>(state.range(0));
  multiprocessing::Pool pool;
  auto const change = [rounds](std::uint32_t& x) { x = work(x, rounds); };
  for (int i = 0; i < 20; ++i) pool.map(change, array);  // until each worker has met each page
  for (auto _ : state) pool.map(change, array);
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void threads_in_place(benchmark::State& state) {
  auto array = items(state);
  auto const rounds = static_cast<std::uint32_t>(state.range(0));
  WaitingThreads crew;
  for (auto _ : state) {
    Chunks chunks(array.size());
    auto const body = [&](std::size_t begin, std::size_t end) {
      for (auto i = begin; i < end; ++i) array[i] = work(array[i], rounds);
    };
    crew.run([&] { chunks.run(body); });
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void sizes(benchmark::internal::Benchmark* bench) {
  for (int const n : {1, 100, 10'000}) bench->Args({1000, n});
  bench->Args({0, 10'000'000});
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(pool)->Apply(sizes);
BENCHMARK(threads)->Apply(sizes);
BENCHMARK(waiting_threads)->Apply(sizes);
BENCHMARK(pool_in_place)->Apply(sizes);
BENCHMARK(threads_in_place)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
