// SPDX-License-Identifier: BSL-1.0
// Counts the primes up to a limit on a pool of processes, or on those of all ranks of an MPI job.
//
//   prime_sieve 1000000000 --compare
//   mpirun -n 8 prime_sieve 1000000000 --mpi
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <multiprocessing.hpp>
#ifdef PRIME_SIEVE_WITH_MPI
#include <multiprocessing/mpi.hpp>
#endif

#include "sieve.hpp"

namespace mp = multiprocessing;

// Its square root many numbers are sieved in every worker first.
constexpr std::uint64_t kLargestLimit = 100'000'000'000'000;

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

sieve::Primes sequential(std::string const& method, std::uint64_t limit) {
  if (method == "trial") return sieve::primes_between_by_trial(0, limit + 1);
  sieve::Segment segment(limit);
  return sieve::primes_between(0, limit + 1, segment);
}

// `map(f, parts)`: the results of f for all parts.
sieve::Primes parallel(std::string const& method, std::uint64_t limit, std::uint64_t chunk,
                       auto const& map) {
  auto const by_sieve = [limit](Interval part) {
    static sieve::Segment segment(limit);  // one a worker, for all its parts
    return sieve::primes_between(part.begin, part.end, segment);
  };
  auto const by_trial = [](Interval part) {
    return sieve::primes_between_by_trial(part.begin, part.end);
  };
  auto const parts = cut(limit, chunk);
  auto const found = method == "trial" ? map(by_trial, parts) : map(by_sieve, parts);
  sieve::Primes primes;
  for (auto const& part : found) primes.add(part);
  return primes;
}

double seconds(auto const& run) {
  auto const start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Wish {
  std::uint64_t limit = 10'000'000;
  std::uint64_t chunk = 0;
  int processes = mp::cpu_count();
  std::string method = "sieve";
  bool one_process = false;
  bool compare = false;
  bool mpi = false;
};

// `primes_of(wish)` finds them, on so many processes.
void tell(Wish const& wish, int processes, auto const& primes_of) {
  sieve::Primes primes;
  double const time = seconds([&] { primes = primes_of(wish); });
  auto const print = [&](char const* label, auto const& ends) {
    std::cout << label;
    for (std::uint64_t i = 0; i < primes.ends(); ++i) std::cout << ' ' << ends[i];
    std::cout << '\n';
  };
  std::cout << "primes up to " << wish.limit << ": " << primes.count << '\n';
  print("first 10:", primes.first);
  print("last 10:", primes.last);
  std::cout << "time: " << time << " s, " << processes << " process(es)\n";
  if (wish.compare) {
    double const alone = seconds([&] { sequential(wish.method, wish.limit); });
    std::cout << "time: " << alone << " s in this process; speed-up " << alone / time << '\n';
  }
}

// The pool is made in the time that is told, as its user waits for that, too.
void run(Wish const& wish) {
  tell(wish, wish.one_process ? 1 : wish.processes, [](Wish const& it) {
    if (it.one_process) return sequential(it.method, it.limit);
    mp::Pool pool(it.processes);
    return parallel(it.method, it.limit, it.chunk, [&](auto const& f, auto const& parts) {
      return pool.map({.chunksize = 1}, f, parts);
    });
  });
}

int run_on_ranks([[maybe_unused]] int argc, [[maybe_unused]] char** argv,
                 [[maybe_unused]] Wish const& wish) {
#ifdef PRIME_SIEVE_WITH_MPI
  return mp::mpi::run(argc, argv, [&] {
    mp::mpi::PoolExecutor executor;
    tell(wish, executor.num_workers(), [&](Wish const& it) {
      return parallel(it.method, it.limit, it.chunk, [&](auto const& f, auto const& parts) {
        return executor.map(f, parts).collect();
      });
    });
  });
#else
  std::cerr << "prime_sieve: built without MPI\n";
  return 2;
#endif
}

int main(int argc, char** argv) try {
  mp::init(argc, argv);
  Wish wish;
  CLI::App app("Counts the primes up to a limit on a pool of processes.");
  auto const up_to = [](std::uint64_t from) { return CLI::Range(from, kLargestLimit); };
  app.add_option("LIMIT", wish.limit, "the largest number to look at")->check(up_to(0));
  app.add_option("--processes", wish.processes, "worker processes")->check(CLI::Range(1, 1024));
  app.add_option("--method", wish.method, "how to find them")
      ->check(CLI::IsMember({"sieve", "trial"}));
  app.add_option("--chunk", wish.chunk, "numbers a task looks at")->check(up_to(1));
  app.add_flag("--sequential", wish.one_process, "stay in this process");
  app.add_flag("--compare", wish.compare, "also run in this process, and show the speed-up");
  app.add_flag("--mpi", wish.mpi,
               "use the ranks that mpirun has started, each with its processors");
  try {
    app.parse(argc, argv);
  } catch (CLI::CallForHelp const& help) {
    return app.exit(help);
  } catch (CLI::ParseError const& error) {
    std::cerr << "prime_sieve: " << error.what() << '\n';
    return 2;
  }
  if (wish.mpi) return run_on_ranks(argc, argv, wish);
  run(wish);
} catch (std::exception const& error) {
  std::cerr << "prime_sieve: " << error.what() << '\n';
  return 1;
}
