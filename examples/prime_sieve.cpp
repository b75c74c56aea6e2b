// SPDX-License-Identifier: BSL-1.0
// Counts the primes up to a limit on a pool of processes, or on those of all ranks of an MPI job.
//
//   prime_sieve 1000000000 --compare
//   mpirun -n 8 prime_sieve 1000000000 --mpi
#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <vector>

#include <multiprocessing.hpp>
#ifdef PRIME_SIEVE_WITH_MPI
#include <multiprocessing/mpi.hpp>
#endif

#include "prime_sieve_command.hpp"
#include "sieve.hpp"

namespace mp = multiprocessing;

struct Interval {
  std::uint64_t begin;
  std::uint64_t end;
};

// Cut so that a sieve's part fits the cache, but never into more than some thousand parts.
std::vector<Interval> cut(std::uint64_t limit, std::uint64_t chunk) {
  if (chunk == 0) chunk = std::max(sieve::kNumbersPerSegment, limit / 4096);
  std::vector<Interval> parts;
  for (std::uint64_t begin = 0; begin <= limit; begin += std::min(chunk, limit - begin + 1)) {
    parts.push_back({begin, begin + std::min(chunk, limit - begin + 1)});
  }
  return parts;
}

// `map(f, parts)`: the results of f for all parts.
sieve::Primes parallel(Wish const& wish, auto const& map) {
  auto const by_sieve = [limit = wish.limit](Interval part) {
    static sieve::Segment segment(limit);  // one a worker, for all its parts
    return sieve::primes_between(part.begin, part.end, segment);
  };
  auto const by_trial = [](Interval part) {
    return sieve::primes_between_by_trial(part.begin, part.end);
  };
  auto const parts = cut(wish.limit, wish.chunk);
  auto const found = wish.method == "trial" ? map(by_trial, parts) : map(by_sieve, parts);
  sieve::Primes primes;
  for (auto const& part : found) primes.add(part);
  return primes;
}

// The pool is made in the time that is told, as its user waits for that, too.
void run(Wish const& wish) {
  if (wish.one_process) return tell(wish, 1, [&] { return sequential(wish); });
  tell(wish, wish.processes, [&] {
    mp::Pool pool(wish.processes);
    return parallel(wish, [&](auto const& f, auto const& parts) {
      return pool.map({.chunksize = 1}, f, parts);
    });
  });
}

#ifdef PRIME_SIEVE_WITH_MPI
int run_on_ranks(int argc, char** argv, Wish const& wish) {
  return mp::mpi::run(argc, argv, [&] {
    mp::mpi::PoolExecutor executor;
    tell(wish, executor.num_workers(), [&] {
      return parallel(
          wish, [&](auto const& f, auto const& parts) { return executor.map(f, parts).collect(); });
    });
  });
}
#else
int run_on_ranks(int, char**, Wish const&) {
  std::cerr << "prime_sieve: built without MPI\n";
  return 2;
}
#endif

int main(int argc, char** argv) try {
  mp::init(argc, argv);
  Wish wish{.processes = mp::cpu_count()};
  if (auto const exit_code = read_command_line(argc, argv, wish)) return *exit_code;
  if (wish.mpi) return run_on_ranks(argc, argv, wish);
  run(wish);
} catch (std::exception const& error) {
  std::cerr << "prime_sieve: " << error.what() << '\n';
  return 1;
}
