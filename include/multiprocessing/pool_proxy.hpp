// SPDX-License-Identifier: BSL-1.0
// A pool in a manager's process, which several processes give tasks to.
//
//   auto pool = manager.Pool(4);
//   mp::Process p(use, pool);          // there: pool.map(square, numbers)
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/base/next_iterator.hpp>
#include <multiprocessing/lazy_range.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/work/initializer.hpp>

namespace multiprocessing {

namespace pool_proxy_detail {

/// PoolOptions, as they are sent.
struct SentPool {
  PoolOptions options() const {
    return {.processes = processes,
            .start_method = start_method,
            .sigint = sigint,
            .initializer =
                initializer.empty() ? work::Initializer() : work::Initializer::read(initializer),
            .max_tasks_per_child = max_tasks_per_child,
            .max_memory_per_task = max_memory_per_task,
            .quarantine_after = quarantine_after,
            .restart_intensity = restart_intensity,
            .restart_period = restart_period,
            .cpus = cpus,
            .nice = nice};
  }

  std::optional<int> processes;
  std::optional<StartMethod> start_method;
  SigintPolicy sigint;
  wire::Bytes initializer;
  std::optional<int> max_tasks_per_child;
  std::optional<std::uint64_t> max_memory_per_task;
  std::optional<int> quarantine_after;
  std::optional<int> restart_intensity;
  std::chrono::nanoseconds restart_period;
  std::vector<int> cpus;
  std::optional<int> nice;
};

/// Throws: TypeError when the initializer can not be sent.
inline SentPool sent(PoolOptions const& options) {
  wire::Bytes initializer;
  try {
    if (options.initializer) options.initializer.save(initializer);
  } catch (TypeError const&) {
    throw TypeError(
        "Manager.Pool: the initializer goes to the manager's process, and can not be sent, or take "
        "shared objects along; use bind() with plain values");
  }
  return {options.processes,
          options.start_method,
          options.sigint,
          std::move(initializer),
          options.max_tasks_per_child,
          options.max_memory_per_task,
          options.quarantine_after,
          options.restart_intensity,
          options.restart_period,
          options.cpus,
          options.nice};
}

/// What ApplyOptions, MapAsyncOptions and ImapOptions say of a task.
struct SentTerms {
  template <class Options>
  void apply_to(Options& options) const {
    options.timeout = timeout;
    options.grace = grace;
    options.retries = retries;
    options.retry_on = retry_on;
    options.backoff = backoff;
  }

  std::optional<std::chrono::nanoseconds> timeout;
  std::chrono::nanoseconds grace;
  int retries;
  std::optional<RetryOn> retry_on;
  std::chrono::nanoseconds backoff;
};
template <class Options>
SentTerms sent_terms(Options const& options) {
  if constexpr (requires { options.callback; }) {
    if (options.callback || options.error_callback) {
      throw std::invalid_argument(
          "PoolProxy: callbacks would be called in the manager's process; wait for the result");
    }
  }
  return {options.timeout, options.grace, options.retries, options.retry_on, options.backoff};
}

/// Ends at once with its last handle, so that a server never waits for its tasks.
class ServedPool : public Pool {
 public:
  explicit ServedPool(SentPool const& sent) : Pool(sent.options()) {}
  ServedPool(ServedPool&&) = delete;
  ServedPool& operator=(ServedPool&&) = delete;
  ~ServedPool() {
    try {
      terminate();
    } catch (std::exception const&) {  // it ends with the process
    }
  }
};

template <class Items>
using Copies = std::vector<std::ranges::range_value_t<Items>>;

template <class Items>
Copies<Items> copies_of(Items&& items) {
  Copies<Items> copies;
  if constexpr (std::ranges::sized_range<Items>) copies.reserve(std::ranges::size(items));
  for (auto&& each : items) copies.emplace_back(std::forward<decltype(each)>(each));
  return copies;
}

}  // namespace pool_proxy_detail

template <>
inline constexpr bool serve::kIsThreadSafe<pool_proxy_detail::ServedPool> = true;
template <class R>
inline constexpr bool serve::kIsThreadSafe<AsyncResult<R>> = true;

/// As AsyncResult, of a task of a PoolProxy. Goes to other processes as all proxies do.
/// Python: what apply_async of a manager's pool returns
template <class R>
class AsyncResultProxy : public proxy_detail::Base<AsyncResult<R>> {
  using Result = AsyncResult<R>;

 public:
  /// Blocks, throws: as AsyncResult::get(); BrokenPipeError when the manager has ended.
  R get() const {
    return this->run("get", [](Result& result) { return result.get(); });
  }
  template <class Rep, class Period>
  R get(std::chrono::duration<Rep, Period> timeout) const {
    return this->run(
        "get", [](Result& result, std::int64_t left) { return result.get(Nanoseconds(left)); },
        count(timeout));
  }
  void wait() const {
    this->run("wait", [](Result& result) { result.wait(); });
  }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return this->run(
        "wait_for",
        [](Result& result, std::int64_t left) { return result.wait_for(Nanoseconds(left)); },
        count(timeout));
  }
  bool ready() const {
    return this->run("ready", [](Result& result) { return result.ready(); });
  }
  bool successful() const {
    return this->run("successful", [](Result& result) { return result.successful(); });
  }
  bool cancel() const {
    return this->run("cancel", [](Result& result) { return result.cancel(); });
  }
  bool cancel(CancelRunning) const {
    return this->run("cancel", [](Result& result) { return result.cancel(cancel_running); });
  }

  /// For the wire.
  template <class Decoder>
  static AsyncResultProxy decode_from(Decoder& decoder) {
    return AsyncResultProxy(serve::Remote<Result>::decode_from(decoder));
  }

 private:
  using Nanoseconds = std::chrono::nanoseconds;

  friend class PoolProxy;
  explicit AsyncResultProxy(serve::Remote<Result> remote)
      : proxy_detail::Base<Result>("AsyncResultProxy", std::move(remote)) {}

  template <class Rep, class Period>
  static std::int64_t count(std::chrono::duration<Rep, Period> timeout) {
    using Seconds = std::chrono::duration<double>;
    if (Seconds(timeout) >= Seconds(Nanoseconds::max())) return Nanoseconds::max().count();
    return std::chrono::ceil<Nanoseconds>(timeout).count();
  }
};

/// As LazyRange, of a PoolProxy: each result is fetched when it is read.
template <class Range>
class LazyRangeProxy : public proxy_detail::Base<Range> {
 public:
  using value_type = typename Range::value_type;

  /// nullopt: that was all. Blocks, throws: as LazyRange::next(); BrokenPipeError.
  std::optional<value_type> next() const {
    return this->run("next", [](Range& range) { return range.next(); });
  }

  using iterator = base::NextIterator<LazyRangeProxy const, value_type>;
  /// Takes the first result.
  iterator begin() const { return iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class PoolProxy;
  explicit LazyRangeProxy(serve::Remote<Range> remote)
      : proxy_detail::Base<Range>("LazyRangeProxy", std::move(remote)) {}
};

/// A handle of a Pool in a manager's process. A copy is the same pool, also in a process that is
/// started with it, or receives it; with the last one the pool is terminated. Functions, arguments
/// and results go through that process: a pool of one's own is faster.
/// Threads, processes: all members safe, and calls of several go on at once. Peer death: of a
/// worker, as Pool; of a caller: what it has given the pool still runs. Throws: as Pool's members,
/// and as all proxies.
/// Python: what multiprocessing.Manager().Pool returns. Differs: no callbacks
class PoolProxy : public proxy_detail::Base<pool_proxy_detail::ServedPool> {
  using Served = pool_proxy_detail::ServedPool;

 public:
  /// f(args...) in a worker. Blocks: until it has returned.
  template <class F, class... Args>
  auto apply(F f, Args... args) const {
    work::require_task<F, Args...>();
    auto const call = [](Served& pool, F its, Args... all) {
      return pool.apply(its, std::move(all)...);
    };
    return run("apply", call, f, args...);
  }
  /// The same without waiting. Throws: std::invalid_argument for a callback.
  template <class F, class... Args>
  requires(!std::is_same_v<F, ApplyOptions>) auto apply_async(F f, Args... args) const {
    return apply_async(ApplyOptions{}, f, std::move(args)...);
  }
  template <class F, class... Args>
  auto apply_async(ApplyOptions const& options, F f, Args... args) const {
    work::require_task<F, Args...>();
    using Result = decltype(std::declval<Served&>().apply(f, args...));
    auto const call = [](Served& pool, pool_proxy_detail::SentTerms const& terms, F its,
                         Args... all) {
      ApplyOptions its_options;
      terms.apply_to(its_options);
      return serve::held(pool.apply_async(its_options, its, std::move(all)...));
    };
    return AsyncResultProxy<Result>(made_by<AsyncResult<Result>>(
        "apply_async", call, pool_proxy_detail::sent_terms(options), f, args...));
  }

  /// f(item) for every item, on copies: a std::vector of what f returns. Blocks: until all is done.
  template <class F, std::ranges::input_range Items>
  auto map(F f, Items&& items) const {
    return map({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map(MapOptions const& options, F f, Items&& items) const {
    auto const call = [](Served& pool, Chunksize chunksize, F its, Copies<Items> all) {
      return pool.map({.chunksize = chunksize}, its, all);
    };
    return run("map", call, options.chunksize, f, copies(std::forward<Items>(items)));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap(F f, Items&& items) const {
    return starmap({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap(MapOptions const& options, F f, Items&& items) const {
    auto const call = [](Served& pool, Chunksize chunksize, F its, Copies<Items> all) {
      return pool.starmap({.chunksize = chunksize}, its, all);
    };
    return run("starmap", call, options.chunksize, f, copies(std::forward<Items>(items)));
  }
  template <class F, std::ranges::input_range Items>
  auto map_async(F f, Items&& items) const {
    return map_async({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map_async(MapAsyncOptions const& options, F f, Items&& items) const {
    using Result = decltype(std::declval<Served&>().map(f, std::declval<Copies<Items>>()));
    auto const call = [](Served& pool, pool_proxy_detail::SentTerms const& terms,
                         Chunksize chunksize, F its, Copies<Items> all) {
      MapAsyncOptions its_options;
      its_options.chunksize = chunksize;
      terms.apply_to(its_options);
      return serve::held(pool.map_async(its_options, its, std::move(all)));
    };
    return AsyncResultProxy<Result>(
        made_by<AsyncResult<Result>>("map_async", call, pool_proxy_detail::sent_terms(options),
                                     options.chunksize, f, copies(std::forward<Items>(items))));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap_async(F f, Items&& items) const {
    return starmap_async({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto starmap_async(MapAsyncOptions const& options, F f, Items&& items) const {
    using Result = decltype(std::declval<Served&>().starmap(f, std::declval<Copies<Items>>()));
    auto const call = [](Served& pool, pool_proxy_detail::SentTerms const& terms,
                         Chunksize chunksize, F its, Copies<Items> all) {
      MapAsyncOptions its_options;
      its_options.chunksize = chunksize;
      terms.apply_to(its_options);
      return serve::held(pool.starmap_async(its_options, its, std::move(all)));
    };
    return AsyncResultProxy<Result>(
        made_by<AsyncResult<Result>>("starmap_async", call, pool_proxy_detail::sent_terms(options),
                                     options.chunksize, f, copies(std::forward<Items>(items))));
  }

  /// f(item) for every item, one result after the other, in order. All items are copied at once, so
  /// they have an end.
  template <class F, std::ranges::input_range Items>
  auto imap(F f, Items&& items) const {
    return imap({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto imap(ImapOptions const& options, F f, Items&& items) const {
    return lazy<Ordered>("imap", options, f, std::forward<Items>(items));
  }
  /// The same, in the order in which they come.
  template <class F, std::ranges::input_range Items>
  auto imap_unordered(F f, Items&& items) const {
    return imap_unordered({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto imap_unordered(ImapOptions const& options, F f, Items&& items) const {
    return lazy<Unordered>("imap_unordered", options, f, std::forward<Items>(items));
  }

  /// As Pool's, of the pool in the manager's process.
  void close() const {
    run("close", [](Served& pool) { pool.close(); });
  }
  void terminate() const {
    run("terminate", [](Served& pool) { pool.terminate(); });
  }
  void join() const {
    run("join", [](Served& pool) { pool.join(); });
  }
  std::vector<int> worker_pids() const {
    return run("worker_pids", [](Served& pool) { return pool.worker_pids(); });
  }

  /// For the wire.
  template <class Decoder>
  static PoolProxy decode_from(Decoder& decoder) {
    return PoolProxy(serve::Remote<Served>::decode_from(decoder));
  }

 private:
  friend Manager;
  using Chunksize = std::optional<std::int64_t>;
  template <class Items>
  using Copies = pool_proxy_detail::Copies<Items>;

  struct Ordered {
    template <class F, class All>
    static auto call(Served& pool, ImapOptions const& options, F const& f, All&& all) {
      return pool.imap(options, f, std::forward<All>(all));
    }
  };
  struct Unordered {
    template <class F, class All>
    static auto call(Served& pool, ImapOptions const& options, F const& f, All&& all) {
      return pool.imap_unordered(options, f, std::forward<All>(all));
    }
  };

  explicit PoolProxy(serve::Remote<Served> remote)
      : proxy_detail::Base<Served>("PoolProxy", std::move(remote)) {}

  template <class Items>
  static Copies<Items> copies(Items&& items) {
    return pool_proxy_detail::copies_of(std::forward<Items>(items));
  }

  template <class Order, class F, class Items>
  auto lazy(char const* verb, ImapOptions const& options, F const& f, Items&& items) const {
    using Range =
        decltype(Order::call(std::declval<Served&>(), options, f, std::declval<Copies<Items>>()));
    auto const call = [](Served& pool, pool_proxy_detail::SentTerms const& terms,
                         std::int64_t chunksize, Chunksize buffersize, F its, Copies<Items> all) {
      ImapOptions its_options;
      its_options.chunksize = chunksize;
      its_options.buffersize = buffersize;
      terms.apply_to(its_options);
      return serve::held(Order::call(pool, its_options, its, std::move(all)));
    };
    return LazyRangeProxy<Range>(made_by<Range>(verb, call, pool_proxy_detail::sent_terms(options),
                                                options.chunksize, options.buffersize, f,
                                                copies(std::forward<Items>(items))));
  }
};

inline PoolProxy Manager::Pool(PoolOptions const& options) const {
  return PoolProxy(make<pool_proxy_detail::ServedPool>("Pool", pool_proxy_detail::sent(options)));
}
inline PoolProxy Manager::Pool(int processes) const {
  return Pool(PoolOptions{.processes = processes});
}
inline PoolProxy Manager::Pool() const { return Pool(PoolOptions{}); }

}  // namespace multiprocessing
