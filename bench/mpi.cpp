// SPDX-License-Identifier: BSL-1.0
// The executor on ranks, beside the pool of this machine. bench/mpi.py measures mpi4py.futures, and
// scripts/bench-mpi both in one run.
//
//   mpirun -n RANKS bench_mpi       RANKS - 1 serve, with a worker each; 1: no MPI on the way
//
// Case           what one of it is
//   submit       a call of next to nothing, of many that are under way
//   map          the same, 100 items a task
//   round_trip   a call and its result, one after the other
//   bytes        1 MiB there and back, in GB/s
//   ms_1         a task that sleeps for 1 ms: its share of all the time that workers had
//   sieve        primes below 10^9: seconds
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/mpi.hpp>

#include "../examples/sieve.hpp"

namespace mp = multiprocessing;

namespace {

int square(int x) { return x * x; }

double seconds(auto const& run) {
  auto const start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void report(char const* name, int ranks, double value, char const* unit) {
  std::cout << R"({"peer": "ours", "case": ")" << name << R"(", "ranks": )" << ranks
            << R"(, "value": )" << value << R"(, "unit": ")" << unit << "\"}" << std::endl;
}

void measure(mp::mpi::PoolExecutor& executor, int ranks) {
  // All have started, and know the functions.
  executor.map(square, std::vector<int>(10'000, 1)).collect();

  constexpr int kCalls = 100'000;
  std::vector<mp::Future<int>> futures;
  futures.reserve(kCalls);
  double const submitted = seconds([&] {
    for (int i = 0; i < kCalls; ++i) futures.push_back(executor.submit(square, i));
    for (auto const& future : futures) future.result();
  });
  report("submit", ranks, kCalls / submitted, "1/s");
  futures.clear();

  std::vector<int> const items(10 * kCalls, 3);
  double const mapped = seconds([&] { executor.map({.chunksize = 100}, square, items).collect(); });
  report("map", ranks, 10 * kCalls / mapped, "1/s");

  constexpr int kTrips = 2000;
  double const trips = seconds([&] {
    for (int i = 0; i < kTrips; ++i) executor.submit(square, i).result();
  });
  report("round_trip", ranks, trips / kTrips * 1e6, "us");

  std::vector<std::byte> const block(std::size_t{1} << 20);
  auto const echo = [](std::vector<std::byte> bytes) { return bytes; };
  constexpr int kBlocks = 200;
  double const moved = seconds([&] {
    std::vector<mp::Future<std::vector<std::byte>>> blocks;
    for (int i = 0; i < kBlocks; ++i) blocks.push_back(executor.submit(echo, block));
    for (auto const& each : blocks) each.result();
  });
  report("bytes", ranks, 2 * kBlocks * static_cast<double>(block.size()) / moved / 1e9, "GB/s");

  constexpr int kSleeps = 500;
  auto const sleep = [](int) {
    auto const start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  auto const workers = executor.num_workers();
  double slept = 0;
  double const all = seconds([&] {
    for (double const one :
         executor.map(sleep, std::vector<int>(kSleeps * static_cast<std::size_t>(workers), 0))) {
      slept += one;
    }
  });
  report("ms_1", ranks, slept / workers / all * 100, "% of the time");

  constexpr std::uint64_t kLimit = 1'000'000'000;
  constexpr std::uint64_t kPart = sieve::kNumbersPerSegment;
  std::vector<std::uint64_t> parts;
  for (std::uint64_t begin = 0; begin <= kLimit; begin += kPart) parts.push_back(begin);
  auto const count = [](std::uint64_t begin) {
    static sieve::Segment segment(kLimit);
    return sieve::primes_between(begin, std::min(begin + kPart, kLimit + 1), segment).count;
  };
  std::uint64_t primes = 0;
  double const sieved = seconds([&] {
    for (auto const each : executor.map(count, parts)) primes += each;
  });
  if (primes != 50'847'534) throw std::logic_error("wrong number of primes");
  report("sieve", ranks, sieved, "s");
}

}  // namespace

int main(int argc, char** argv) {
  return mp::mpi::run(argc, argv, [] {
    mp::mpi::PoolExecutor executor(1);
    measure(executor, mp::mpi::Engine::current().load()->size());
  });
}
