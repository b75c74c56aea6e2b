// SPDX-License-Identifier: BSL-1.0
// A pool of worker processes that share memory with their owner. How it works: work/board.hpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/start_method.hpp>   // IWYU pragma: export
#include <multiprocessing/lazy_range.hpp>
#include <multiprocessing/wire/bind.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/crew_options.hpp>
#include <multiprocessing/work/in_place.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/lazy_results.hpp>
#include <multiprocessing/work/map.hpp>
#include <multiprocessing/work/pool_stats.hpp>    // IWYU pragma: export
#include <multiprocessing/work/retry_on.hpp>      // IWYU pragma: export
#include <multiprocessing/work/stop_request.hpp>  // IWYU pragma: export
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/task.hpp>

namespace multiprocessing {

/// Python: the arguments of multiprocessing.pool.Pool.
struct PoolOptions {
  /// How many workers; by default one per processor that they may use. A worker may use its share
  /// of those: processors by workers, at least one.
  std::optional<int> processes = std::nullopt;
  /// By fork, workers are copies of this process; by spawn, of another run of the program;
  /// by forkserver, of the server, and have what that has loaded. Default: what set_start_method()
  /// says.
  std::optional<StartMethod> start_method = std::nullopt;
  /// What Ctrl-C does to workers. One that it ends costs the call whose item it ran a WorkerDied.
  SigintPolicy sigint = SigintPolicy::ignore;
  /// What every worker calls first: a callable without arguments, bind() gives it some. Throws it,
  /// or exits, then the pool is broken. By other methods than fork it is sent.
  work::Initializer initializer = {};
  /// So many items of apply, or chunks, and a worker is replaced by a new one. Default: no limit.
  std::optional<int> max_tasks_per_child = std::nullopt;
  /// Bytes that a task may allocate beyond what its worker has: MemoryLimitExceeded. A bad_alloc of
  /// the task's own counts as that. Default: what the machine has.
  std::optional<std::uint64_t> max_memory_per_task = std::nullopt;
  /// A task that has ended so many workers is not run again, whatever its retries are.
  std::optional<int> quarantine_after = std::nullopt;
  /// When more workers than this die within the period, the pool is broken. Those that it kills for
  /// a timeout or a cancel do not count. Default: it goes on.
  std::optional<int> restart_intensity = std::nullopt;
  std::chrono::nanoseconds restart_period = std::chrono::seconds(5);
  /// The processors that workers run on; none: all. The constructor throws std::system_error for a
  /// number that none can have; what the system refuses later breaks the pool. So it does for nice.
  std::vector<int> cpus = {};
  std::optional<int> nice = std::nullopt;  ///< see setpriority(2)
};

/// Python: the optional arguments of multiprocessing.pool.Pool.map.
struct MapOptions {
  /// Items a worker takes at a time; by default a quarter of its fair share.
  std::optional<std::int64_t> chunksize = std::nullopt;
};

/// What can be said of a call that does not wait.
struct ApplyOptions {
  /// When a worker has run it for so long, that worker is killed: TaskTimeout. Counted in
  /// milliseconds, rounded up; of more than 49 days: never.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  /// So much later than that; from the timeout on, stop_requested() is true in the task. One that
  /// ends meanwhile has the result that it has.
  std::chrono::nanoseconds grace{0};
  /// How often it is run again, up to 10,000 times, and after what: the death of its worker (not
  /// by the timeout), the timeout, an exception (not after the timeout). Default: after deaths.
  int retries = 0;
  std::optional<RetryOn> retry_on = std::nullopt;
  /// How long before it is run again; twice as long each further time, up to a minute.
  std::chrono::nanoseconds backoff{0};
  /// Called with what it returns, in a thread of the pool's that the first callback starts. Of both
  /// one is called, once, before wait() returns.
  ResultCallback callback = {};
  std::function<void(std::exception_ptr)> error_callback = {};
};
/// What can be said of a map that does not wait.
struct MapAsyncOptions {
  std::optional<std::int64_t> chunksize = std::nullopt;  ///< see MapOptions
  /// Of a chunk, not an item, so say its size, too: see ApplyOptions.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  std::chrono::nanoseconds grace{0};
  int retries = 0;
  std::optional<RetryOn> retry_on = std::nullopt;
  std::chrono::nanoseconds backoff{0};
  ResultCallback callback = {};
  std::function<void(std::exception_ptr)> error_callback = {};
};
/// What can be said of an imap.
struct ImapOptions {
  /// Items a worker takes at a time.
  std::int64_t chunksize = 1;
  /// How many chunks are on their way whose results have not been read; by default 4 a worker.
  std::optional<std::int64_t> buffersize = std::nullopt;
  /// Of a chunk: see ApplyOptions.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  std::chrono::nanoseconds grace{0};
  int retries = 0;
  std::optional<RetryOn> retry_on = std::nullopt;
  std::chrono::nanoseconds backoff{0};
};

/// Worker processes that run functions on items.
///
/// Threads: safe, any number may call map at once; construction and destruction are for one.
/// Processes: only the one that made it; anywhere else every call throws std::logic_error.
/// Fork: by that start method, workers are copies of the owner, and see its memory as it was when
/// the pool was made. Peer death: a worker that dies, in whatever way, costs the call whose item it
/// ran a WorkerDied, and is replaced; the pool goes on. When the owner dies, also by SIGKILL, its
/// pool dies with it. In the owner no thread is started, no signal handled, nothing named. Idle,
/// nothing runs. Workers ignore SIGINT, see PoolOptions::sigint, and have default handling of all
/// other signals that the owner handles; a handler of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT
/// notes where they crash, for WorkerDied, and ends them as the signal would. One that a task or an
/// initializer installs replaces it.
/// Python: multiprocessing.pool.Pool; differs: workers are children of a helper process, not of the
/// caller, so they are not among active_children().
class Pool {
 public:
  Pool() : Pool(PoolOptions{}) {}
  /// Blocks: until the workers have been forked.
  /// Throws: std::invalid_argument for less than 1 process, std::system_error when the system gives
  /// no more processes (those that did start are gone then); by other methods than fork also as
  /// Process::start().
  explicit Pool(int processes) : Pool(PoolOptions{.processes = processes}) {}
  explicit Pool(PoolOptions const& options)
      : start_method_(options.start_method ? *options.start_method
                                           : launch::DefaultMethod::instance().get()),
        crew_(make_crew(options, start_method_)) {}

  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&& other) noexcept {
    if (this != &other) {
      finish();
      start_method_ = other.start_method_;
      exceptions_when_made_ = other.exceptions_when_made_;
      crew_ = std::move(other.crew_);
    }
    return *this;
  }
  /// Blocks: until the workers have ended. During stack unwinding they are terminated.
  /// Python: differs, `with Pool()` always terminates.
  ~Pool() { finish(); }

  /// f(item) for every item of `items`, in order: a std::vector of what f returns, nothing if f
  /// returns nothing. Runs f in the workers, on copies of the items.
  /// Blocks: until all chunks that have gone out are done, also when an item fails: that skips the
  /// rest of its chunk.
  /// Throws: what the first failed item (in their order) threw, as itself where its type is of the
  /// standard library, of this one, or registered (register_exception); else RemoteError. Its
  /// causes are nested in it, the last is a RemoteTraceback: see format_exception(). WorkerDied for
  /// the items of a worker that died. CancelledError when another thread terminates the pool.
  /// std::invalid_argument once closed, or for a chunksize below 1; std::length_error for 2^32
  /// chunks; BrokenProcessPool; std::bad_alloc; PicklingError for items that can not be written and
  /// functions in no module; UnpicklingError when a worker lacks the module of a function. What the
  /// range itself throws passes through, and no item has run then. Python:
  /// multiprocessing.pool.Pool.map; differs: Python throws the failure that came first, and runs
  /// all chunks in any case.
  ///
  /// Many plain items that lie side by side, with plain results or none, go out a part at a time,
  /// as long as each part takes no more than a moment: so a few MiB of shared memory do for any
  /// number of them. They are read while this runs: nobody may change them meanwhile, f neither.
  /// After a failure, parts that have not gone out yet do not run. A pool that is closed meanwhile
  /// runs all of them.
  ///
  /// In place: where `items` is an Array or RawArray of T, and f takes `T&` (not `T`, `T const&`,
  /// `auto&&`) and returns nothing, f runs on the array's own elements; nothing is copied. Its lock
  /// is not taken: hold it, or let others leave the array alone, until this returns. After a
  /// failure the elements are as f left them, some of them never reached. f may have shared objects
  /// bound.
  template <class F, std::ranges::input_range Items>
  auto map(F const& f, Items&& items) {
    return map({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map(MapOptions const& options, F const& f, Items&& items) {
    std::decay_t<F const> const callable = f;  // a function becomes its pointer
    if constexpr (work::kInPlace<std::decay_t<F const>, Items>) {
      work::SharedElementsOf<Items> const& elements = items;
      work::map_in_place(crew("Pool.map"), "Pool.map", options.chunksize, callable, elements);
    } else {
      return work::map(crew("Pool.map"), "Pool.map", options.chunksize, callable,
                       std::forward<Items>(items));
    }
  }

  /// f(args...) in a worker. Blocks: until it has returned. Throws: as map().
  /// Python: multiprocessing.pool.Pool.apply
  template <class F, class... Args>
  auto apply(F&& f, Args&&... args) {
    if constexpr (work::Task<std::decay_t<F>, std::decay_t<Args>...>) {
      return submit("Pool.apply", {}, std::forward<F>(f), std::forward<Args>(args)...).get();
    } else {
      work::require_task<std::decay_t<F>, std::decay_t<Args>...>();
    }
  }

  /// f(args...) in a worker, on copies: an AsyncResult of what f returns. Tasks begin in the order
  /// of their submission. Blocks: no. Throws: what map() throws before anything runs; TypeError for
  /// a callback that takes something else, std::bad_alloc when four million tasks wait.
  /// Python: multiprocessing.pool.Pool.apply_async
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, ApplyOptions>) auto apply_async(F&& f,
                                                                                 Args&&... args) {
    return submit("Pool.apply_async", {}, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  auto apply_async(ApplyOptions options, F&& f, Args&&... args) {
    return submit("Pool.apply_async", std::move(options), std::forward<F>(f),
                  std::forward<Args>(args)...);
  }

  /// As map(), without waiting: an AsyncResult of what map() returns.
  /// Python: multiprocessing.pool.Pool.map_async
  template <class F, std::ranges::input_range Items>
  auto map_async(F const& f, Items&& items) {
    return map_async({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map_async(MapAsyncOptions options, F const& f, Items&& items) {
    std::decay_t<F const> const callable = f;
    return submit_items("Pool.map_async", std::move(options), callable, std::forward<Items>(items));
  }

  /// As map(), of f(parts of the item...): items are tuples, pairs or arrays.
  /// Python: multiprocessing.pool.Pool.starmap, starmap_async
  template <class F, std::ranges::input_range Items>
  auto starmap(F const& f, Items&& items) {
    return starmap({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap(MapOptions const& options, F const& f, Items&& items) {
    return work::map(crew("Pool.starmap"), "Pool.starmap", options.chunksize,
                     multiprocessing::bind(work::Unpack{}, f), std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap_async(F const& f, Items&& items) {
    return starmap_async({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap_async(MapAsyncOptions options, F const& f, Items&& items) {
    return submit_items("Pool.starmap_async", std::move(options),
                        multiprocessing::bind(work::Unpack{}, f), std::forward<Items>(items));
  }

  /// f(item) for every item, one result after the other, in their order: see LazyRange. An `items`
  /// that is no temporary has to live as long. Throws: as apply_async(); std::invalid_argument for
  /// a chunksize or buffersize below 1. Python: multiprocessing.pool.Pool.imap; differs: there all
  /// items are taken at once
  template <class F, std::ranges::input_range Items>
  auto imap(F const& f, Items&& items) {
    return imap({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto imap(ImapOptions const& options, F const& f, Items&& items) {
    return lazy("Pool.imap", options, work::LazyOptions::Order::of_items, f,
                std::forward<Items>(items));
  }
  /// The same, in the order in which they come.
  /// Python: multiprocessing.pool.Pool.imap_unordered
  template <class F, std::ranges::input_range Items>
  auto imap_unordered(F const& f, Items&& items) {
    return imap_unordered({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto imap_unordered(ImapOptions const& options, F const& f, Items&& items) {
    return lazy("Pool.imap_unordered", options, work::LazyOptions::Order::of_ends, f,
                std::forward<Items>(items));
  }

  /// No more work from now on; the workers end when what is there is done. Does not wait.
  void close() { crew("Pool.close").close("Pool.close"); }

  /// Ends the workers at once: SIGTERM, then SIGKILL for those that are still there after 0.5 s.
  /// Calls of map in other threads throw CancelledError.
  /// Blocks: until every process of the pool has ended.
  void terminate() { crew("Pool.terminate").terminate("Pool.terminate"); }

  /// Blocks: until every process of the pool has ended.
  /// Throws: std::invalid_argument unless closed or terminated before.
  void join() { crew("Pool.join").join("Pool.join"); }
  /// The same, for at most `timeout`; callbacks that are running then may take longer. Whether all
  /// have ended. Python: none
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) {
    return crew("Pool.join_for").join_until("Pool.join_for", base::Deadline::after(timeout));
  }
  [[nodiscard]] bool join_until(std::chrono::steady_clock::time_point when) {
    return crew("Pool.join_until").join_until("Pool.join_until", base::Deadline::at(when));
  }

  /// From now on so many workers. Those that are too many leave when they have done what they are
  /// at; what is missing is started, again and again where the system has no process to give.
  /// Blocks: no. Throws: std::invalid_argument once closed, or for less than 1; BrokenProcessPool.
  /// Python: none
  void resize(int processes) {
    crew("Pool.resize")
        .resize("Pool.resize", work::checked_workers("Pool.resize", "processes", processes));
  }

  /// What its workers are doing. Blocks: no; reads a file of the system's for each. Python: none
  PoolStats stats() const { return work::stats_of("Pool.stats", crew("Pool.stats")); }

  /// From now on what its workers do is noted down: 262,144 tasks, chunks and ends of workers. When
  /// the pool has been joined or terminated, `path` is a trace that Perfetto and chrome://tracing
  /// show. Takes 10 MiB at once. Throws: std::system_error when the file can not be opened,
  /// when it can not be written later a warning is logged; std::invalid_argument the second time,
  /// and once closed; BrokenProcessPool. Python: none
  void trace(std::string const& path) { crew("Pool.trace").trace("Pool.trace", path); }

  /// What its workers are started by.
  StartMethod start_method() const noexcept { return start_method_; }

  /// Process ids of the workers that run now. A pid may be stale by the time it is read.
  std::vector<int> worker_pids() const {
    return crew("Pool.worker_pids").worker_pids("Pool.worker_pids");
  }

 private:
  template <class F, class... Args>
  auto submit(char const* call, ApplyOptions options, F&& f, Args&&... args) {
    using Function = std::decay_t<F>;
    work::require_task<Function, std::decay_t<Args>...>();
    if constexpr (work::Task<Function, std::decay_t<Args>...>) {
      using Result = typename work::CallCode<Function, std::decay_t<Args>...>::Result;
      options.callback.template require<Result>(call);
      auto how = work::task_terms(call, options);
      how.tells_all = options.callback || options.error_callback;
      AsyncResult<Result> result(work::submit_call<Function, std::decay_t<Args>...>(
                                     shared_crew(call), call, how, f, args...),
                                 &work::collect_one<Result>);
      result.call_back(std::move(options.callback), std::move(options.error_callback));
      return result;
    }
  }

  template <class F, class Items>
  auto submit_items(char const* call, MapAsyncOptions options, F const& f, Items&& items) {
    using Item = std::ranges::range_value_t<Items>;
    work::require_copies<F, Items>();
    work::require_item_task<F, Item>();
    if constexpr (work::ItemTask<F, Item>) {
      using Result = work::AllResults<F, Item>;
      options.callback.template require<Result>(call);
      auto how = work::task_terms(call, options);
      how.tells_all = options.callback || options.error_callback;
      std::vector<Item> all;
      if constexpr (std::ranges::sized_range<Items>) all.reserve(std::ranges::size(items));
      for (auto&& each : items) {
        if constexpr (work::kOwnsItems<Items>) {
          all.emplace_back(std::move(each));
        } else {
          all.emplace_back(std::forward<decltype(each)>(each));
        }
      }
      auto const crew = shared_crew(call);
      auto const chunk_size =
          work::map_detail::chunk_size_for(call, options.chunksize, all.size(), crew->workers());
      auto group = std::make_shared<work::TaskGroup>(crew, call, all.size());
      crew->require_open(call);
      work::submit_items(*group, how, f, std::move(all), chunk_size);
      AsyncResult<Result> result(std::move(group), &work::collect_items<Result>);
      result.call_back(std::move(options.callback), std::move(options.error_callback));
      return result;
    }
  }

  template <class F, class Items>
  auto lazy(char const* call, ImapOptions const& options, work::LazyOptions::Order order,
            F const& f, Items&& items) {
    auto const& crew = shared_crew(call);
    auto const how = lazy_options(call, options, order, crew->workers());
    std::decay_t<F const> const callable = f;
    return lazy_range_detail::make(crew, call, how, callable, std::forward<Items>(items));
  }

  // Not inlined, here and below: GCC 12 takes members of the options for uninitialized then.
  [[gnu::noinline]] static work::LazyOptions lazy_options(char const* call,
                                                          ImapOptions const& options,
                                                          work::LazyOptions::Order order,
                                                          int workers) {
    work::LazyOptions how;
    how.chunk_size =
        static_cast<std::uint64_t>(work::at_least(call, "chunksize", options.chunksize, 1));
    how.window = static_cast<std::uint64_t>(
        work::at_least(call, "buffersize", options.buffersize.value_or(4 * workers), 1));
    how.order = order;
    how.submit = work::task_terms(call, options);
    return how;
  }

  [[gnu::noinline]] static std::shared_ptr<work::Crew> make_crew(PoolOptions const& options,
                                                                 StartMethod method) {
    auto const workers = work::checked_workers(
        "Pool", "processes", options.processes.value_or(work::default_workers(options.cpus)));
    auto crew = work::crew_options("Pool", workers, options);
    crew.method = method;
    crew.sigint = options.sigint;
    return std::make_shared<work::Crew>(crew);
  }

  std::shared_ptr<work::Crew> const& shared_crew(char const* call) const {
    if (crew_ == nullptr) {
      throw std::invalid_argument(std::string(call) + ": the pool was moved from");
    }
    return crew_;
  }
  work::Crew& crew(char const* call) const { return *shared_crew(call); }

  void finish() noexcept {
    if (crew_ == nullptr || !crew_->is_owner()) return;
    if (std::uncaught_exceptions() > exceptions_when_made_) {
      crew_->terminate("~Pool");
    } else {
      crew_->close("~Pool");
      crew_->join("~Pool");
    }
  }

  StartMethod start_method_;
  std::shared_ptr<work::Crew> crew_;  // also of what has been submitted
  int exceptions_when_made_ = std::uncaught_exceptions();
};

}  // namespace multiprocessing
