// SPDX-License-Identifier: BSL-1.0
// What prime_sieve is asked on its command line, and what it answers: nothing of processes.
#pragma once

#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "sieve.hpp"

// Its square root many numbers are sieved in every worker first.
constexpr std::uint64_t kLargestLimit = 100'000'000'000'000;

struct Wish {
  std::uint64_t limit = 10'000'000;
  std::uint64_t chunk = 0;
  int processes = 1;
  std::string method = "sieve";
  bool one_process = false;
  bool compare = false;
  bool mpi = false;
};

// Reads it into `wish`; an exit code if that is all that is to be done.
inline std::optional<int> read_command_line(int argc, char** argv, Wish& wish) {
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
  return std::nullopt;
}

inline sieve::Primes sequential(Wish const& wish) {
  if (wish.method == "trial") return sieve::primes_between_by_trial(0, wish.limit + 1);
  sieve::Segment segment(wish.limit);
  return sieve::primes_between(0, wish.limit + 1, segment);
}

inline double seconds(auto const& run) {
  auto const start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// `find()` finds the primes, on so many processes.
void tell(Wish const& wish, int processes, auto const& find) {
  sieve::Primes primes;
  double const time = seconds([&] { primes = find(); });
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
    double const alone = seconds([&] { sequential(wish); });
    std::cout << "time: " << alone << " s in this process; speed-up " << alone / time << '\n';
  }
}
