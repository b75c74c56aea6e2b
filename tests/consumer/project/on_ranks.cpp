// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi.hpp>

int main(int argc, char** argv) {
  return multiprocessing::mpi::run(argc, argv, [] {
    multiprocessing::mpi::PoolExecutor executor(1);
    return executor.submit([](int x) { return 2 * x; }, 21).result() == 42 ? 0 : 1;
  });
}
