// SPDX-License-Identifier: BSL-1.0
// Counting the primes up to N: the example's sieve beside Kim Walisch's primesieve, which is the
// fastest there is.
//
//   one_process/N          the example's sieve, no pool
//   pool/P/N               the same on a pool of P processes, pool made and ended in the time
//   primesieve/T/N         libprimesieve on T threads
#include <algorithm>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/pool.hpp>
#include <primesieve.hpp>

#include "../examples/sieve.hpp"

namespace {

struct Interval {
  std::uint64_t begin;
  std::uint64_t end;
};

void one_process(benchmark::State& state) {
  auto const limit = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    sieve::Segment segment(limit);
    benchmark::DoNotOptimize(sieve::primes_between(0, limit + 1, segment));
  }
}

void pool(benchmark::State& state) {
  auto const limit = static_cast<std::uint64_t>(state.range(1));
  for (auto _ : state) {
    multiprocessing::Pool workers(static_cast<int>(state.range(0)));
    std::vector<Interval> parts;
    for (std::uint64_t begin = 0; begin <= limit; begin += sieve::kNumbersPerSegment) {
      parts.push_back({begin, std::min(begin + sieve::kNumbersPerSegment, limit + 1)});
    }
    auto const found = workers.map(
        {.chunksize = 1},
        [limit](Interval part) {
          static sieve::Segment segment(limit);
          return sieve::primes_between(part.begin, part.end, segment);
        },
        parts);
    sieve::Primes primes;
    for (auto const& part : found) primes.add(part);
    benchmark::DoNotOptimize(primes);
  }
}

void primesieve_library(benchmark::State& state) {
  primesieve::set_num_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        primesieve::count_primes(0, static_cast<std::uint64_t>(state.range(1))));
  }
}

constexpr std::int64_t kLimit = 1'000'000'000;

BENCHMARK(one_process)->Arg(kLimit)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(pool)->Args({1, kLimit})->Args({2, kLimit})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(primesieve_library)
    ->Name("primesieve")
    ->Args({1, kLimit})
    ->Args({2, kLimit})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
