// SPDX-License-Identifier: BSL-1.0
// Worker processes behind futures. How they work: work/board.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <multiprocessing/executor.hpp>             // IWYU pragma: export
#include <multiprocessing/launch/start_method.hpp>  // IWYU pragma: export
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/crew_options.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/pool_stats.hpp>  // IWYU pragma: export

namespace multiprocessing {

/// Python: the arguments of concurrent.futures.ProcessPoolExecutor.
struct ExecutorOptions {
  /// By default one worker per processor that this process may use.
  std::optional<int> max_workers = std::nullopt;
  std::optional<StartMethod> start_method = std::nullopt;  ///< see PoolOptions
  /// What every worker calls first; when it throws, the executor is broken.
  work::Initializer initializer = {};
  /// So many calls, or chunks, and a worker is replaced by a new one. Default: no limit.
  std::optional<int> max_tasks_per_child = std::nullopt;
  /// See PoolOptions.
  std::optional<std::uint64_t> max_memory_per_task = std::nullopt;
  /// A task that has ended so many workers is not run again, whatever its retries are.
  std::optional<int> quarantine_after = std::nullopt;
  /// When more workers than this die within the period, the executor is broken.
  std::optional<int> restart_intensity = std::nullopt;
  std::chrono::nanoseconds restart_period = std::chrono::seconds(5);
  std::vector<int> cpus = {};
  std::optional<int> nice = std::nullopt;
};

/// Worker processes that run what is submitted.
///
/// As Executor says; its destructor shuts down, and terminates the workers during stack unwinding.
/// When the owner dies, also by SIGKILL, its workers die with it.
/// Python: concurrent.futures.ProcessPoolExecutor; differs: there the death of a worker breaks it
class ProcessPoolExecutor : public Executor {
 public:
  ProcessPoolExecutor() : ProcessPoolExecutor(ExecutorOptions{}) {}
  /// Blocks, throws: as Pool's constructor.
  explicit ProcessPoolExecutor(int max_workers)
      : ProcessPoolExecutor(ExecutorOptions{.max_workers = max_workers}) {}
  /// The same, with options.
  explicit ProcessPoolExecutor(ExecutorOptions const& options)
      : Executor(kCalls, std::make_shared<work::Crew>(crew_options(options)), 4) {}

  /// What its workers are doing. Blocks: no. Python: none
  PoolStats stats() const {
    constexpr auto kCall = "ProcessPoolExecutor.stats";
    return work::stats_of(kCall, *shared_crew(kCall));
  }

  /// Process ids of the workers that run now.
  std::vector<int> worker_pids() const {
    constexpr auto kCall = "ProcessPoolExecutor.worker_pids";
    return shared_crew(kCall)->worker_pids(kCall);
  }

 private:
  static constexpr Calls kCalls{
      "ProcessPoolExecutor.submit",       "ProcessPoolExecutor.map",
      "ProcessPoolExecutor.starmap",      "ProcessPoolExecutor.shutdown",
      "ProcessPoolExecutor.shutdown_for", "ProcessPoolExecutor.terminate_workers",
      "ProcessPoolExecutor.kill_workers", "~ProcessPoolExecutor"};

  // Not inlined: GCC 12 takes members of the options for uninitialized then.
  [[gnu::noinline]] static work::Crew::Options crew_options(ExecutorOptions const& options) {
    constexpr auto kCall = "ProcessPoolExecutor";
    auto const workers = options.max_workers.value_or(work::default_workers(options.cpus));
    return work::crew_options(kCall, work::checked_workers(kCall, "max_workers", workers), options);
  }
};

}  // namespace multiprocessing
