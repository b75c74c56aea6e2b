// SPDX-License-Identifier: BSL-1.0
// Single calls on a pool, beside threads.
//
//   pool/pipelined/N     N times apply_async, then N times get
//   tbb/pipelined/N      N times task_group::run, then wait
//   threads/pipelined/N  N times into a queue with a condition variable, from which threads take
//   async/pipelined/N    N times std::async
//   X/round_trip         one call, and its result; the next one begins when that is there
//   X/parked             the same after 2 ms of sleep; futex_p50_us is of two processes that wake
//                        each other by a futex after the same, in turns with that
//   pool/bytes/N         one call with N bytes, which it returns
//   pool/workers/W       100,000 times apply_async, then get, with W workers
//   pool/imap/N          N items, one task for each
//   pool/queued/N        N tasks wait for a worker: bytes of this process for each, with what its
//                        handle refers to, without the handle. To be run alone
//   pool/late            from the end of a task's timeout to its exception
//   pool/death           from the moment a worker ends itself to the exception of its task
//   pool/replacement     ... to the result of the next task, which no other worker could run
//
// What is timed one by one has p50_us and p99_us.
//
// The function returns its argument and one. items_per_second is calls.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/event.hpp>
#include <multiprocessing/os/text_file.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/value.hpp>

#include "naps.hpp"
#ifdef BENCH_WITH_TBB
#include <tbb/global_control.h>
#include <tbb/task_group.h>
#endif

namespace {

namespace mp = multiprocessing;

using bench::kNaps;
using bench::Samples;

int next(int x) { return x + 1; }
int workers() { return mp::os::usable_processors(); }

/// Each has call(x), which waits, and pipelined(n).
struct OnPool {
  mp::Pool pool{workers()};

  int call(int x) { return pool.apply(next, x); }
  long pipelined(int n) {
    std::vector<mp::AsyncResult<int>> results;
    results.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) results.push_back(pool.apply_async(next, i));
    long sum = 0;
    for (auto const& result : results) sum += result.get();
    return sum;
  }
};

#ifdef BENCH_WITH_TBB
struct OnTbb {
  tbb::global_control limit{tbb::global_control::max_allowed_parallelism,
                            static_cast<std::size_t>(workers()) + 1};  // the caller is one

  int call(int x) {
    tbb::task_group group;
    int result = 0;
    group.run([&] { result = next(x); });
    group.wait();
    return result;
  }
  long pipelined(int n) {
    tbb::task_group group;
    std::vector<int> results(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) {
      group.run([&results, i] { results[static_cast<std::size_t>(i)] = next(i); });
    }
    group.wait();
    long sum = 0;
    for (int const result : results) sum += result;
    return sum;
  }
};
#endif

class OnThreads {
 public:
  OnThreads() {
    for (int i = 0; i < workers(); ++i) threads_.emplace_back([this] { serve(); });
  }
  ~OnThreads() {
    {
      std::lock_guard const guard(mutex_);
      stop_ = true;
    }
    told_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  int call(int x) { return submit(x).get(); }
  long pipelined(int n) {
    std::vector<std::future<int>> results;
    results.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) results.push_back(submit(i));
    long sum = 0;
    for (auto& result : results) sum += result.get();
    return sum;
  }

 private:
  std::future<int> submit(int x) {
    std::packaged_task<int()> task([x] { return next(x); });
    auto result = task.get_future();
    {
      std::lock_guard const guard(mutex_);
      tasks_.push_back(std::move(task));
    }
    told_.notify_one();
    return result;
  }
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      told_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable told_;
  std::deque<std::packaged_task<int()>> tasks_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

struct OnAsync {
  int call(int x) { return std::async(std::launch::async, next, x).get(); }
  long pipelined(int n) {
    std::vector<std::future<int>> results;
    for (int i = 0; i < n; ++i) results.push_back(std::async(std::launch::async, next, i));
    long sum = 0;
    for (auto& result : results) sum += result.get();
    return sum;
  }
};

template <class On>
void pipelined(benchmark::State& state) {
  On on;
  auto const n = static_cast<int>(state.range(0));
  benchmark::DoNotOptimize(on.pipelined(n));  // so that all have had their memory
  for (auto _ : state) benchmark::DoNotOptimize(on.pipelined(n));
  state.SetItemsProcessed(state.iterations() * n);
}

template <class On>
void round_trip(benchmark::State& state) {
  On on;
  int x = 0;
  for (auto _ : state) x = on.call(x);
  benchmark::DoNotOptimize(x);
  state.SetItemsProcessed(state.iterations());
}

template <class On>
void parked(benchmark::State& state) {
  On on;
  int x = 0;
  bench::time_beside_futex(state, [&] { x = on.call(x); });
  benchmark::DoNotOptimize(x);
}

void bytes(benchmark::State& state) {
  mp::Pool pool(workers());
  std::string const text(static_cast<std::size_t>(state.range(0)), 'x');
  auto const echo = [](std::string const& s) { return s; };
  for (auto _ : state) benchmark::DoNotOptimize(pool.apply(echo, text));
  state.SetBytesProcessed(state.iterations() * state.range(0) * 2);
}

void pipelined_by(benchmark::State& state) {
  constexpr int kCalls = 100'000;
  OnPool on{mp::Pool(static_cast<int>(state.range(0)))};
  benchmark::DoNotOptimize(on.pipelined(kCalls));
  for (auto _ : state) benchmark::DoNotOptimize(on.pipelined(kCalls));
  state.SetItemsProcessed(state.iterations() * kCalls);
}

void imap(benchmark::State& state) {
  mp::Pool pool(workers());
  std::vector<int> const items(static_cast<std::size_t>(state.range(0)), 1);
  for (auto _ : state) {
    long sum = 0;
    for (int const result : pool.imap(next, items)) sum += result;
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// Of this process, also what it shares.
std::size_t resident_bytes() {
  auto const status = mp::os::read_text_file("/proc/self/status");
  return static_cast<std::size_t>(mp::os::number_after(status, "VmRSS:").value_or(0)) * 1024;
}

void queued(benchmark::State& state) {
  auto const count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    mp::Pool pool(1);
    mp::Event begin;
    auto const gate = pool.apply_async([](mp::Event const& event) { event.wait(); }, begin);
    std::vector<mp::AsyncResult<int>> results(count, pool.apply_async(next, 0));
    auto const before = resident_bytes();
    for (auto& result : results) result = pool.apply_async(next, 1);
    auto const bytes = static_cast<double>(resident_bytes() - before);
    state.counters["bytes_a_task"] = bytes / static_cast<double>(count);
    begin.set();
    for (auto& result : results) benchmark::DoNotOptimize(result.get());
  }
  state.SetItemsProcessed(state.range(0));
}

void late(benchmark::State& state) {
  constexpr auto kTimeout = std::chrono::milliseconds(5);
  mp::Pool pool(1);
  mp::RawValue<std::int64_t> const begun(0);
  auto const hang = [](mp::RawValue<std::int64_t> const& when) {
    when.atomic() = std::chrono::steady_clock::now().time_since_epoch().count();
    for (;;) ::pause();
  };
  Samples samples(state);
  for (auto _ : state) {
    try {
      pool.apply_async({.timeout = kTimeout}, hang, begun).get();
    } catch (mp::TaskTimeout const&) {
    }
    std::chrono::steady_clock::duration const begin(begun.atomic().load());
    samples.add(std::chrono::steady_clock::now().time_since_epoch() - begin - kTimeout);
    pool.apply(next, 1);  // the next worker is there
  }
}

enum class Until { Exception, Replacement };
void death(benchmark::State& state, Until until) {
  mp::Pool pool(1);
  mp::RawValue<std::int64_t> const died(0);
  auto const die = [](mp::RawValue<std::int64_t> const& when) {
    when.atomic() = std::chrono::steady_clock::now().time_since_epoch().count();
    ::kill(::getpid(), SIGKILL);
  };
  Samples samples(state);
  for (auto _ : state) {
    try {
      pool.apply(die, died);
    } catch (mp::WorkerDied const&) {
    }
    std::chrono::steady_clock::duration const begin(died.atomic().load());
    auto end = std::chrono::steady_clock::now();
    pool.apply(next, 1);
    if (until == Until::Replacement) end = std::chrono::steady_clock::now();
    samples.add(end.time_since_epoch() - begin);
  }
}

template <class On>
void register_on(std::string const& name, int most) {
  benchmark::RegisterBenchmark((name + "/pipelined").c_str(), &pipelined<On>)
      ->Arg(1000)
      ->Arg(most)
      ->UseRealTime();
  benchmark::RegisterBenchmark((name + "/round_trip").c_str(), &round_trip<On>)->UseRealTime();
  benchmark::RegisterBenchmark((name + "/parked").c_str(), &parked<On>)
      ->Iterations(kNaps)
      ->UseManualTime();
}

}  // namespace

int main(int argc, char** argv) {
  register_on<OnPool>("pool", 100'000);
#ifdef BENCH_WITH_TBB
  register_on<OnTbb>("tbb", 100'000);
#endif
  register_on<OnThreads>("threads", 100'000);
  register_on<OnAsync>("async", 1000);
  benchmark::RegisterBenchmark("pool/bytes", &bytes)
      ->RangeMultiplier(64)
      ->Range(8, 64 << 20)
      ->UseRealTime();
  benchmark::RegisterBenchmark("pool/workers", &pipelined_by)
      ->RangeMultiplier(4)
      ->Range(1, 64)
      ->UseRealTime();
  benchmark::RegisterBenchmark("pool/imap", &imap)->Arg(10'000)->UseRealTime();
  benchmark::RegisterBenchmark("pool/late", &late)->Iterations(kNaps)->UseManualTime();
  benchmark::RegisterBenchmark("pool/death", &death, Until::Exception)
      ->Iterations(kNaps)
      ->UseManualTime();
  benchmark::RegisterBenchmark("pool/replacement", &death, Until::Replacement)
      ->Iterations(kNaps)
      ->UseManualTime();
  // Last: this process stays larger, and each fork after it would copy more.
  benchmark::RegisterBenchmark("pool/queued", &queued)->Arg(1'000'000)->Iterations(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
