// SPDX-License-Identifier: BSL-1.0
// What executors have in common: calls that are submitted, and their futures.
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

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/future.hpp>
#include <multiprocessing/lazy_range.hpp>
#include <multiprocessing/wire/bind.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/lazy_results.hpp>
#include <multiprocessing/work/retry_on.hpp>      // IWYU pragma: export
#include <multiprocessing/work/stop_request.hpp>  // IWYU pragma: export
#include <multiprocessing/work/submit.hpp>

namespace multiprocessing {

/// Python: the optional arguments of concurrent.futures.Executor.map.
struct ExecutorMapOptions {
  std::int64_t chunksize = 1;  ///< items a worker takes at a time
  /// How many chunks are on their way whose results have not been read; by default 4 a worker
  /// (256 where it is on another machine).
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

/// Runs what is submitted in other processes: a ProcessPoolExecutor on this machine, an
/// mpi::PoolExecutor on many. What takes an Executor& works with either.
///
/// Threads: safe; construction and destruction are for one. Processes: only the one that made it;
/// anywhere else every call throws std::logic_error. Peer death: a worker that dies costs the call
/// that it ran a WorkerDied, and is replaced; the executor goes on. No thread is started until a
/// callback is added. Python: concurrent.futures.Executor
class Executor {
 public:
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
      char const* const call = calls_->submit;
      return Future<Result>(work::submit_call<Function, std::decay_t<Args>...>(
          open_crew(call), call, work::task_terms(call, options), f, args...));
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
    std::decay_t<F const> const callable = f;
    return lazy(calls_->map, options, callable, std::forward<Items>(items));
  }

  /// The same, of f(parts of the item...): items are tuples, pairs or arrays.
  /// Python: multiprocessing.pool.Pool.starmap
  template <class F, std::ranges::input_range Items>
  auto starmap(F const& f, Items&& items) {
    return starmap({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap(ExecutorMapOptions const& options, F const& f, Items&& items) {
    return lazy(calls_->starmap, options, multiprocessing::bind(work::Unpack{}, f),
                std::forward<Items>(items));
  }

  /// Nothing more is taken. Blocks: unless told not to, until all is done and the workers have
  /// ended. Again: nothing happens, or the wait. Python: concurrent.futures.Executor.shutdown
  void shutdown(ShutdownOptions const& options = {}) {
    char const* const call = calls_->shutdown;
    auto& crew = *shared_crew(call);
    crew.close(call);
    if (options.cancel_futures) crew.cancel_free(call);
    if (options.wait) crew.join(call);
  }

  /// The same, waiting for at most `timeout`; callbacks that are running then may take longer.
  /// Whether all has ended. Python: none
  template <class Rep, class Period>
  [[nodiscard]] bool shutdown_for(std::chrono::duration<Rep, Period> timeout) {
    char const* const call = calls_->shutdown_for;
    auto const deadline = base::Deadline::after(timeout);
    shutdown({.wait = false});
    return shared_crew(call)->join_until(call, deadline);
  }

  /// Shuts down and ends the workers at once: by SIGTERM, and SIGKILL after 0.5 s. What is not done
  /// is cancelled. Blocks: until they have ended.
  /// Python: concurrent.futures.ProcessPoolExecutor.terminate_workers
  void terminate_workers() {
    char const* const call = calls_->terminate_workers;
    shared_crew(call)->terminate(call);
  }
  /// The same, by SIGKILL. Python: concurrent.futures.ProcessPoolExecutor.kill_workers
  void kill_workers() {
    char const* const call = calls_->kill_workers;
    shared_crew(call)->terminate(call, work::Crew::Ending::kill);
  }

 protected:
  /// What messages call its functions.
  struct Calls {
    /// Each is "Class.function".
    char const* submit;
    char const* map;
    char const* starmap;
    char const* shutdown;
    char const* shutdown_for;
    char const* terminate_workers;
    char const* kill_workers;
    char const* destructor;
  };

  /// `calls`: for good. `ahead`: how many chunks a worker map() lets be on their way by default.
  Executor(Calls const& calls, std::shared_ptr<work::Crew> crew, int ahead) noexcept
      : calls_(&calls), crew_(std::move(crew)), ahead_(ahead) {}
  Executor(Executor&&) noexcept = default;
  Executor& operator=(Executor&& other) noexcept {
    if (this != &other) {
      finish();
      calls_ = other.calls_;
      crew_ = std::move(other.crew_);
      ahead_ = other.ahead_;
      exceptions_when_made_ = other.exceptions_when_made_;
    }
    return *this;
  }
  /// Blocks: as shutdown(). During stack unwinding the workers are terminated.
  ~Executor() { finish(); }

  /// Throws: std::invalid_argument when the executor was moved from.
  std::shared_ptr<work::Crew> const& shared_crew(char const* call) const {
    if (crew_ == nullptr) {
      throw std::invalid_argument(std::string(call) + ": the executor was moved from");
    }
    return crew_;
  }

 private:
  std::shared_ptr<work::Crew> const& open_crew(char const* call) const {
    auto const& crew = shared_crew(call);
    if (crew->is_owner() && crew->is_closed()) {
      throw Error(std::string(call) + ": cannot schedule new futures after shutdown");
    }
    return crew;
  }

  void finish() noexcept {
    if (crew_ == nullptr || !crew_->is_owner()) return;
    char const* const call = calls_->destructor;
    if (std::uncaught_exceptions() > exceptions_when_made_) {
      crew_->terminate(call);
    } else {
      crew_->close(call);
      crew_->join(call);
    }
  }

  template <class F, class Items>
  auto lazy(char const* call, ExecutorMapOptions const& options, F const& f, Items&& items) {
    auto const crew = open_crew(call);
    work::LazyOptions how;
    how.chunk_size =
        static_cast<std::uint64_t>(work::at_least(call, "chunksize", options.chunksize, 1));
    how.window = static_cast<std::uint64_t>(work::at_least(
        call, "buffersize", options.buffersize.value_or(ahead_ * crew->workers()), 1));
    if (options.timeout) how.deadline = base::Deadline::after(*options.timeout);
    return lazy_range_detail::make(crew, call, how, f, std::forward<Items>(items));
  }

  Calls const* calls_;
  std::shared_ptr<work::Crew> crew_;  // also of what has been submitted
  int ahead_;
  int exceptions_when_made_ = std::uncaught_exceptions();
};

}  // namespace multiprocessing
