// SPDX-License-Identifier: BSL-1.0
// The executor on many machines: ranks of an MPI job, each with a pool of workers. Needs MPI
// (CMake: multiprocessing::mpi), so it is not in the umbrella header. How it works:
// mpi/dispatcher.hpp.
//
//   int main(int argc, char** argv) {
//     return mp::mpi::run(argc, argv, [] {
//       mp::mpi::PoolExecutor executor;
//       auto squares = executor.map(square, numbers).collect();
//     });
//   }
//
//   mpirun -n 8 program     the first rank runs the function, 7 serve
//   program                 without others it has workers of its own
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/executor.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/mpi/engine.hpp>
#include <multiprocessing/mpi/record.hpp>
#include <multiprocessing/mpi/remote_staff.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/start_method.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/crew_options.hpp>
#include <multiprocessing/work/initializer.hpp>

namespace multiprocessing::mpi {

/// What can be said of a run().
struct RunOptions {
  /// So many more ranks are started by MPI_Comm_spawn, where the launcher lets that be done. They
  /// run the program from its beginning, with no arguments.
  int spawn = 0;
};

/// Makes this process a rank of an MPI job. On the first rank it calls `main()`, whose exit code (0
/// where it returns nothing) it returns; the others serve until that has returned, and get 0.
/// To be returned by main(), which does little before: all ranks and all workers do that, too, up
/// to here.
///
/// MPI is used by a thread of this function's own, and by nothing else: `main` must not call it.
/// An exception of `main` is told on stderr, and the code is 1; so it is when the ranks can not
/// work together, as when one runs another build of the program. When a rank dies, or its host, MPI
/// ends the job. Blocks: until the job ends. Threads, processes: once a process. Python:
/// mpi4py.futures.MPICommExecutor, and python -m mpi4py.futures
template <class Main>
int run(RunOptions const& options, int argc, char const* const* argv, Main&& main) {
  init(argc, argv);
  try {
    // Before MPI: so that it has no part in the workers.
    auto& server = launch::ForkServer::of_this_process();
    server.start_ahead();
    Engine engine(options.spawn);
    if (engine.rank() != 0) {
      engine.await_end();
      return engine.why_not().empty() ? 0 : 1;
    }
    if (!engine.why_not().empty()) throw Error(engine.why_not());
    if (engine.size() > 1) server.stop();
    Engine::current() = &engine;
    auto const body = [&]() -> int {
      if constexpr (std::is_void_v<std::invoke_result_t<Main>>) {
        std::invoke(std::forward<Main>(main));
        return 0;
      } else {
        return static_cast<int>(std::invoke(std::forward<Main>(main)));
      }
    };
    return launch::fork_detail::run_body(body);
  } catch (std::exception const& error) {
    os::write_to_stderr(std::string("mpi::run: ") + error.what() + "\n");
    return 1;
  }
}
template <class Main>
int run(int argc, char const* const* argv, Main&& main) {
  return run({}, argc, argv, std::forward<Main>(main));
}

/// Python: the arguments of mpi4py.futures.MPIPoolExecutor.
struct PoolExecutorOptions {
  /// Of each rank that serves. Default: its share of the processors that it may use.
  std::optional<int> workers_per_rank = std::nullopt;
  /// What every worker calls first; when it throws, the executor is broken. It is sent, as calls
  /// are.
  work::Initializer initializer = {};
  std::optional<int> max_tasks_per_child = std::nullopt;  ///< see ExecutorOptions, as the following
  std::optional<std::uint64_t> max_memory_per_task = std::nullopt;
  /// On whichever ranks.
  std::optional<int> quarantine_after = std::nullopt;
  /// On one rank.
  std::optional<int> restart_intensity = std::nullopt;
  std::chrono::nanoseconds restart_period = std::chrono::seconds(5);
  std::optional<int> nice = std::nullopt;
};

/// The ranks that serve, and their workers, as an Executor. Several at a time have workers each.
///
/// As Executor says, and: calls, arguments and results are sent, so they hold no shared objects.
/// Peer death: a worker that dies costs the call that it ran a WorkerDied, which names host and
/// rank, or a retry, on whichever rank. When a rank dies, MPI ends the job.
/// Python: mpi4py.futures.MPIPoolExecutor; differs: there a crash ends the job
class PoolExecutor : public Executor {
 public:
  PoolExecutor() : PoolExecutor(PoolExecutorOptions{}) {}
  /// The same, with options.
  explicit PoolExecutor(int workers_per_rank)
      : PoolExecutor(PoolExecutorOptions{.workers_per_rank = workers_per_rank}) {}
  /// Blocks: no, but where there is one rank only, as ProcessPoolExecutor's. Throws:
  /// std::logic_error outside of run(); std::invalid_argument; TypeError for an initializer that
  /// can not be sent.
  explicit PoolExecutor(PoolExecutorOptions const& options)
      : Executor(kCalls, make_crew(options), kAhead) {}

  /// Of all ranks together. Python: mpi4py.futures.MPIPoolExecutor.num_workers
  int num_workers() const { return shared_crew("mpi.PoolExecutor.num_workers")->workers(); }

 private:
  static constexpr Calls kCalls{
      "mpi.PoolExecutor.submit",       "mpi.PoolExecutor.map",
      "mpi.PoolExecutor.starmap",      "mpi.PoolExecutor.shutdown",
      "mpi.PoolExecutor.shutdown_for", "mpi.PoolExecutor.terminate_workers",
      "mpi.PoolExecutor.kill_workers", "~mpi.PoolExecutor"};
  // A packet of small tasks and its answer take as long as so many of them.
  static constexpr int kAhead = 256;

  /// As work::crew_options() takes them.
  struct LocalOptions : PoolExecutorOptions {
    std::optional<StartMethod> start_method = StartMethod::forkserver;
    std::vector<int> cpus = {};
  };

  static std::shared_ptr<work::Crew> make_crew(PoolExecutorOptions const& said) {
    constexpr auto kCall = "mpi.PoolExecutor";
    auto* const engine = Engine::current().load();
    if (engine == nullptr || !engine->is_of_this_process()) {
      throw std::logic_error(std::string(kCall) + ": it is for the function that mpi::run() calls");
    }
    auto const local = work::crew_options(
        kCall,
        work::checked_workers(kCall, "workers_per_rank",
                              said.workers_per_rank.value_or(work::default_workers())),
        LocalOptions{said});
    if (engine->size() == 1) return std::make_shared<work::Crew>(local);
    SessionTerms terms;
    if (said.workers_per_rank) terms.workers = static_cast<std::uint32_t>(local.workers);
    terms.max_tasks_per_child = local.max_tasks_per_child;
    terms.max_memory_per_task = local.max_memory_per_task;
    terms.restart_intensity = local.restart_limit.intensity;
    terms.restart_period_ms = local.restart_limit.period_ms;
    terms.has_nice = local.setup.has_nice ? 1 : 0;
    terms.nice = local.setup.nice;
    wire::Bytes initializer;
    if (said.initializer) said.initializer.save(initializer);
    auto const& slots = engine->slots();
    auto const all = said.workers_per_rank
                         ? *said.workers_per_rank * (engine->size() - 1)
                         : static_cast<int>(std::accumulate(slots.begin(), slots.end(), 0U));
    return std::make_shared<work::Crew>(all, [&](work::Crew& crew) {
      crew.board().quarantine_after = local.quarantine_after;
      return std::make_unique<RemoteStaff>(engine->orders(), crew, terms, std::move(initializer));
    });
  }
};

}  // namespace multiprocessing::mpi
