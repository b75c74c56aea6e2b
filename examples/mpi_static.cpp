// SPDX-License-Identifier: BSL-1.0
// A parameter study on as many machines as the launcher gives:
//   mpirun -n 8 mpi_static       the first rank asks, 7 ranks work
//   mpi_static                   this machine alone works
#include <cmath>
#include <csignal>
#include <iostream>
#include <vector>

#include <multiprocessing/mpi.hpp>

namespace mp = multiprocessing;

struct Case {
  double damping;
  double stiffness;
};

// How long an oscillator takes to come to rest. Some cases crash, as somebody else's solver would.
double time_to_rest(Case const& wanted) {
  if (wanted.damping == 0.0) std::raise(SIGSEGV);
  double x = 1.0;
  double v = 0.0;
  double t = 0.0;
  for (double const dt = 1e-4; std::abs(x) + std::abs(v) > 1e-3; t += dt) {
    v -= dt * (wanted.stiffness * x + wanted.damping * v);
    x += dt * v;
  }
  return t;
}

// Knows nothing of MPI: any executor does.
void study(mp::Executor& executor) {
  std::vector<Case> cases;
  for (int i = 0; i < 8; ++i) cases.push_back({0.5 * i, 10.0});
  std::vector<mp::Future<double>> times;
  for (auto const& one : cases) times.push_back(executor.submit({.retries = 1}, time_to_rest, one));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::cout << "damping " << cases[i].damping << ": ";
    try {
      std::cout << times[i].result() << " s\n";
    } catch (mp::WorkerDied const& death) {
      std::cout << "no result, its process crashed (signal " << death.signal() << ")\n";
    }
  }
}

int main(int argc, char** argv) {
  return mp::mpi::run(argc, argv, [] {
    mp::mpi::PoolExecutor executor;
    study(executor);
  });
}
