// SPDX-License-Identifier: BSL-1.0
// Worker processes behind futures. How they work: work/board.hpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/future.hpp>
#include <multiprocessing/launch/start_method.hpp>  // IWYU pragma: export
#include <multiprocessing/lazy_range.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/crew_options.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/lazy_results.hpp>
#include <multiprocessing/work/pool_stats.hpp>    // IWYU pragma: export
#include <multiprocessing/work/retry_on.hpp>      // IWYU pragma: export
#include <multiprocessing/work/stop_request.hpp>  // IWYU pragma: export
#include <multiprocessing/work/submit.hpp>

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

/// Python: the optional arguments of concurrent.futures.Executor.map.
struct ExecutorMapOptions {
  std::int64_t chunksize = 1;  ///< items a worker takes at a time
  /// How many chunks are on their way whose results have not been read; by default 4 a worker.
  std::optional<std::int64_t> buffersize = std::nullopt;
  /// Of the whole: when it has passed since map() was called, reading throws TimeoutError. Nothing
  /// is killed; differs from that of Pool::imap().
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
};

/// What can be said of a call: see ApplyOptions of <multiprocessing/pool.hpp>. Python: none
struct SubmitOptions {
  /// As ApplyOptions has them.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  std::chrono::nanoseconds grace{0};
  int retries = 0;
  std::optional<RetryOn> retry_on = std::nullopt;
  std::chrono::nanoseconds backoff{0};
};

/// Python: the arguments of concurrent.futures.Executor.shutdown.
struct ShutdownOptions {
  bool wait = true;             ///< until all that was submitted is done and the workers have ended
  bool cancel_futures = false;  ///< those that no worker has begun
};

/// Worker processes that run what is submitted.
///
/// Threads: safe; construction and destruction are for one. Processes: only the one that made it;
/// anywhere else every call throws std::logic_error. Peer death: a worker that dies costs the call
/// that it ran a WorkerDied, and is replaced; the executor goes on. When the owner dies, also by
/// SIGKILL, its workers die with it. No thread is started until a callback is added.
/// Python: concurrent.futures.ProcessPoolExecutor; differs: there the death of a worker breaks it
class ProcessPoolExecutor {
 public:
  ProcessPoolExecutor() : ProcessPoolExecutor(ExecutorOptions{}) {}
  /// Blocks, throws: as Pool's constructor.
  explicit ProcessPoolExecutor(int max_workers)
      : ProcessPoolExecutor(ExecutorOptions{.max_workers = max_workers}) {}
  /// The same, with options.
  explicit ProcessPoolExecutor(ExecutorOptions const& options)
      : crew_(std::make_shared<work::Crew>(crew_options(options))) {}

  ProcessPoolExecutor(ProcessPoolExecutor&&) noexcept = default;
  ProcessPoolExecutor& operator=(ProcessPoolExecutor&& other) noexcept {
    if (this != &other) {
      finish();
      crew_ = std::move(other.crew_);
      exceptions_when_made_ = other.exceptions_when_made_;
    }
    return *this;
  }
  /// Blocks: as shutdown(). During stack unwinding the workers are terminated.
  ~ProcessPoolExecutor() { finish(); }

  /// f(args...) in a worker, on copies. Calls begin in the order of their submission.
  /// Blocks: no. Throws: Error after shutdown(); BrokenProcessPool; PicklingError,
  /// UnpicklingError as Pool::map(); std::bad_alloc when four million calls wait.
  /// Python: concurrent.futures.Executor.submit
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, SubmitOptions>) auto submit(F&& f,
                                                                             Args&&... args) {
    return submit(SubmitOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  auto submit(SubmitOptions const& options, F&& f, Args&&... args) {
    using Function = std::decay_t<F>;
    work::require_task<Function, std::decay_t<Args>...>();
    if constexpr (work::Task<Function, std::decay_t<Args>...>) {
      using Result = typename work::CallCode<Function, std::decay_t<Args>...>::Result;
      constexpr auto kCall = "ProcessPoolExecutor.submit";
      return Future<Result>(work::submit_call<Function, std::decay_t<Args>...>(
          open_crew(kCall), kCall, work::task_terms(kCall, options), f, args...));
    }
  }

  /// f(item) for every item, in order: a LazyRange of the results, `.collect()` is a vector of all.
  /// Throws: as submit(); std::invalid_argument for a chunksize or buffersize below 1.
  /// Python: concurrent.futures.Executor.map; differs: takes items as results are read
  template <class F, std::ranges::input_range Items>
  auto map(F const& f, Items&& items) {
    return map({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map(ExecutorMapOptions const& options, F const& f, Items&& items) {
    constexpr auto kCall = "ProcessPoolExecutor.map";
    auto const crew = open_crew(kCall);
    work::LazyOptions how;
    how.chunk_size =
        static_cast<std::uint64_t>(work::at_least(kCall, "chunksize", options.chunksize, 1));
    how.window = static_cast<std::uint64_t>(
        work::at_least(kCall, "buffersize", options.buffersize.value_or(4 * crew->workers()), 1));
    if (options.timeout) how.deadline = base::Deadline::after(*options.timeout);
    std::decay_t<F const> const callable = f;
    return lazy_range_detail::make(crew, kCall, how, callable, std::forward<Items>(items));
  }

  /// Nothing more is taken. Blocks: unless told not to, until all is done and the workers have
  /// ended. Again: nothing happens, or the wait. Python: concurrent.futures.Executor.shutdown
  void shutdown(ShutdownOptions const& options = {}) {
    constexpr auto kCall = "ProcessPoolExecutor.shutdown";
    auto& crew = *shared_crew(kCall);
    crew.close(kCall);
    if (options.cancel_futures) crew.cancel_free(kCall);
    if (options.wait) crew.join(kCall);
  }

  /// The same, waiting for at most `timeout`; callbacks that are running then may take longer.
  /// Whether all has ended. Python: none
  template <class Rep, class Period>
  [[nodiscard]] bool shutdown_for(std::chrono::duration<Rep, Period> timeout) {
    constexpr auto kCall = "ProcessPoolExecutor.shutdown_for";
    auto const deadline = base::Deadline::after(timeout);
    shutdown({.wait = false});
    return shared_crew(kCall)->join_until(kCall, deadline);
  }

  /// Shuts down and ends the workers at once: by SIGTERM, and SIGKILL after 0.5 s. What is not done
  /// is cancelled. Blocks: until they have ended.
  /// Python: concurrent.futures.ProcessPoolExecutor.terminate_workers
  void terminate_workers() {
    constexpr auto kCall = "ProcessPoolExecutor.terminate_workers";
    shared_crew(kCall)->terminate(kCall);
  }
  /// The same, by SIGKILL. Python: concurrent.futures.ProcessPoolExecutor.kill_workers
  void kill_workers() {
    constexpr auto kCall = "ProcessPoolExecutor.kill_workers";
    shared_crew(kCall)->terminate(kCall, work::Crew::Ending::kill);
  }

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
  // Not inlined: GCC 12 takes members of the options for uninitialized then.
  [[gnu::noinline]] static work::Crew::Options crew_options(ExecutorOptions const& options) {
    constexpr auto kCall = "ProcessPoolExecutor";
    auto const workers = options.max_workers.value_or(work::default_workers(options.cpus));
    return work::crew_options(kCall, work::checked_workers(kCall, "max_workers", workers), options);
  }

  std::shared_ptr<work::Crew> const& shared_crew(char const* call) const {
    if (crew_ == nullptr) {
      throw std::invalid_argument(std::string(call) + ": the executor was moved from");
    }
    return crew_;
  }
  std::shared_ptr<work::Crew> const& open_crew(char const* call) const {
    auto const& crew = shared_crew(call);
    if (crew->is_owner() && crew->is_closed()) {
      throw Error(std::string(call) + ": cannot schedule new futures after shutdown");
    }
    return crew;
  }

  void finish() noexcept {
    if (crew_ == nullptr || !crew_->is_owner()) return;
    constexpr auto kCall = "~ProcessPoolExecutor";
    if (std::uncaught_exceptions() > exceptions_when_made_) {
      crew_->terminate(kCall);
    } else {
      crew_->close(kCall);
      crew_->join(kCall);
    }
  }

  std::shared_ptr<work::Crew> crew_;  // also of what has been submitted
  int exceptions_when_made_ = std::uncaught_exceptions();
};

}  // namespace multiprocessing
