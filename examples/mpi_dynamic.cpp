// SPDX-License-Identifier: BSL-1.0
// Has MPI start two more ranks, where the launcher lets it: no mpirun is needed.
//   mpi_dynamic
#include <iostream>
#include <string>
#include <vector>

#include <multiprocessing/mpi.hpp>

namespace mp = multiprocessing;

std::size_t count_words(std::string const& text) {
  std::size_t words = 0;
  bool is_inside = false;
  for (char const c : text) {
    if (c != ' ' && !is_inside) ++words;
    is_inside = c != ' ';
  }
  return words;
}

int main(int argc, char** argv) {
  return mp::mpi::run({.spawn = 2}, argc, argv, [] {
    mp::mpi::PoolExecutor executor(1);  // a worker on each rank
    std::cout << executor.num_workers() << " workers\n";
    std::vector<std::string> const texts{"to be", "or not to be", "that is the question"};
    for (auto const words : executor.map(count_words, texts)) std::cout << words << '\n';
  });
}
