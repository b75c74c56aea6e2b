// SPDX-License-Identifier: BSL-1.0
// What takes long to load is loaded once, and all workers share its memory.
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <vector>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/start_method.hpp>

namespace mp = multiprocessing;

std::vector<std::uint64_t> squares;  // say, a model

void load() {
  std::cout << "loading\n" << std::flush;
  squares.resize(1'000'000);
  for (std::uint64_t i = 0; i < squares.size(); ++i) squares[i] = i * i;
}

std::uint64_t look_up(std::size_t i) { return squares.at(i); }  // empty: would throw

int main(int argc, char** argv) {
  mp::init(argc, argv);
  mp::set_forkserver_preload(load);  // runs in the server, before it forks anybody
  mp::set_start_method(mp::StartMethod::forkserver);

  for (int pools = 0; pools < 2; ++pools) {
    mp::Pool pool(2);
    auto const found = pool.map(look_up, std::vector<std::size_t>{10, 1'000, 100'000});
    std::cout << "the sum is " << std::accumulate(found.begin(), found.end(), std::uint64_t{0})
              << '\n';
  }
  std::cout << "here: " << squares.size() << " squares\n";
}
