// SPDX-License-Identifier: BSL-1.0
// Futures of a ProcessPoolExecutor, and waiting for many.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/next_iterator.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/work/any_of.hpp>
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/task.hpp>
#include <multiprocessing/work/when_ready.hpp>

namespace multiprocessing {

/// A call that was submitted. Copies are the same.
///
/// Threads: safe. Processes: only the one that owns the executor. Dropping all of them does not
/// stop the call. Python: concurrent.futures.Future
template <class R>
class Future {
  using Phase = work::TaskGroup::Phase;

 public:
  /// REQUIRES: not called by users, executors make them.
  explicit Future(std::shared_ptr<work::TaskGroup> group) noexcept : group_(std::move(group)) {}

  /// What the call returned, as a new value each time.
  /// Blocks: until it has returned. Throws: what it threw, as itself where its type is known here,
  /// else RemoteError (see Pool::map); WorkerDied when its worker did; CancelledError;
  /// BrokenProcessPool.
  R result() const {
    await(base::Deadline::never());
    return work::collect_one<R>(*group_);
  }
  /// The same. Throws also: TimeoutError.
  template <class Rep, class Period>
  R result(std::chrono::duration<Rep, Period> timeout) const {
    await_in_time("result", timeout);
    return work::collect_one<R>(*group_);
  }

  /// What the call threw; null when it returned. Blocks, throws: as result() where that has nothing
  /// of the call's to tell.
  std::exception_ptr exception() const {
    await(base::Deadline::never());
    return failure();
  }
  template <class Rep, class Period>
  std::exception_ptr exception(std::chrono::duration<Rep, Period> timeout) const {
    await_in_time("exception", timeout);
    return failure();
  }

  /// Blocks: until it is done. false: not in time.
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return await(base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> time) const {
    return await(base::Deadline::at(time));
  }

  /// Gives it up, unless a worker has begun. Whether it is cancelled now.
  bool cancel() const noexcept { return group_->cancel(); }
  bool cancel(CancelRunning) const noexcept { return group_->cancel_running(); }
  /// As AsyncResult::request_stop().
  void request_stop() const noexcept { group_->request_stop(); }
  bool cancelled() const noexcept { return group_->phase(0) == Phase::Dropped; }
  bool running() const noexcept { return group_->is_held(0) && !done(); }
  /// Whether result() would not block.
  bool done() const noexcept { return group_->settled(); }

  /// Calls `f(future)` once it is done: at once in this thread when it is so already, else in a
  /// thread of the executor's, one after the other. One that throws harms nobody.
  /// Throws: std::system_error when that thread can not be started.
  template <class F>
  requires std::invocable<F&, Future const&>
  void add_done_callback(F f) const {
    group_->crew().require_owner("Future.add_done_callback");
    group_->tell_all();
    if (!done()) {
      work::when_ready(group_, [f = std::move(f), self = *this]() mutable { f(self); });
      return;
    }
    try {
      f(*this);
    } catch (...) {  // as there
    }
  }

  /// A descriptor that is readable, for poll, select or epoll, from when it is done: has returned,
  /// thrown, died, was cancelled, or the executor is broken or terminated. Made when it is first
  /// asked for, and closed with the last copy of the future; not to be read from, or closed.
  /// Blocks: no. Threads: safe. Throws: std::system_error when there is no descriptor, or no thread
  /// for callbacks, which it starts unless it is done; std::logic_error in another process.
  /// Python: none
  int fileno() const { return work::descriptor_of(group_); }

  /// `co_await future` returns, or throws, what result() does, and blocks no thread. When it is
  /// done already the coroutine goes on at once; else later in the executor's thread for callbacks,
  /// after those that were added before. There it holds up the others until it waits again or ends;
  /// an exception that escapes it is dropped, and the executor's destructor waits for it. Any
  /// number of coroutines may wait for the same. REQUIRES: it is not destroyed while it waits.
  /// Throws also: std::system_error, std::logic_error as fileno(). Python: asyncio.wrap_future
  work::Awaiter<R> operator co_await() const noexcept { return {group_, &work::collect_one<R>}; }

  /// Whether both are of the same call.
  friend bool operator==(Future const& a, Future const& b) noexcept { return a.group_ == b.group_; }

  /// For wait() and as_completed().
  std::shared_ptr<work::TaskGroup> const& group() const noexcept { return group_; }

 private:
  bool await(base::Deadline deadline) const { return group_->wait_until(deadline); }
  template <class Rep, class Period>
  void await_in_time(char const* what, std::chrono::duration<Rep, Period> timeout) const {
    if (await(base::Deadline::after(timeout))) return;
    throw TimeoutError(std::string("Future.") + what + ": it is not done in time");
  }
  std::exception_ptr failure() const {
    switch (group_->phase(0)) {
      case Phase::Done:
        return nullptr;
      case Phase::Failed:
      case Phase::Lost:
      case Phase::Late:
        try {
          static_cast<void>(group_->result(0));
        } catch (...) {
          return std::current_exception();
        }
        return nullptr;
      default:
        static_cast<void>(group_->result(0));  // throws
        return nullptr;
    }
  }

  std::shared_ptr<work::TaskGroup> group_;
};

/// When wait() returns, at the latest when all are done.
enum class ReturnWhen {
  all_completed,
  first_completed,
  first_exception,  ///< or all are completed
};
/// Python's names of these.
inline constexpr auto ALL_COMPLETED = ReturnWhen::all_completed;
inline constexpr auto FIRST_COMPLETED = ReturnWhen::first_completed;
inline constexpr auto FIRST_EXCEPTION = ReturnWhen::first_exception;

/// What wait() returns: each future once, in their order.
template <class R>
struct DoneAndNotDone {
  /// Those that are done, and those that are not.
  std::vector<Future<R>> done;
  std::vector<Future<R>> not_done;
};

namespace future_detail {

template <class T>
inline constexpr bool kIsFuture = false;
template <class R>
inline constexpr bool kIsFuture<Future<R>> = true;

template <class Futures>
concept RangeOfFutures =
    std::ranges::input_range<Futures> && kIsFuture<std::ranges::range_value_t<Futures>>;

/// Each once.
template <class Futures>
auto distinct(Futures& futures) {
  std::vector<std::ranges::range_value_t<Futures>> once;
  std::unordered_set<work::TaskGroup const*> seen;
  for (auto const& future : futures) {
    if (seen.insert(future.group().get()).second) once.push_back(future);
  }
  return once;
}

template <class Futures>
std::vector<std::shared_ptr<work::TaskGroup>> groups_of(Futures const& futures) {
  std::vector<std::shared_ptr<work::TaskGroup>> groups;
  groups.reserve(futures.size());
  for (auto const& future : futures) groups.push_back(future.group());
  return groups;
}

template <class R>
bool has_failed(Future<R> const& future) {
  using Phase = work::TaskGroup::Phase;
  auto const phase = future.group()->phase(0);
  return future.done() && phase != Phase::Done && phase != Phase::Dropped;
}

template <class R>
DoneAndNotDone<R> wait(std::vector<Future<R>> all, base::Deadline deadline, ReturnWhen when) {
  using One = Future<R>;
  auto const is_done = [](One const& future) { return future.done(); };
  auto const is_over = [&] {
    if (std::all_of(all.begin(), all.end(), is_done)) return true;
    if (when == ReturnWhen::first_completed) return std::any_of(all.begin(), all.end(), is_done);
    if (when == ReturnWhen::all_completed) return false;
    return std::any_of(all.begin(), all.end(), [](One const& each) { return has_failed(each); });
  };
  if (when == ReturnWhen::all_completed) {  // one after the other, each by itself
    for (auto const& future : all) {
      if (!future.group()->wait_until(deadline)) break;
    }
  } else if (!is_over()) {
    work::await_any(groups_of(all), is_over, deadline);
  }
  DoneAndNotDone<R> sorted;
  for (auto& future : all) {
    (future.done() ? sorted.done : sorted.not_done).push_back(std::move(future));
  }
  return sorted;
}

}  // namespace future_detail

/// Waits until all of the futures are done, or as `when` says. Each is in one of both lists, once.
/// Blocks: until then. Threads: safe. Python: concurrent.futures.wait; differs: cancelled is done
template <future_detail::RangeOfFutures Futures>
auto wait(Futures&& futures, ReturnWhen when = ALL_COMPLETED) {
  return future_detail::wait(future_detail::distinct(futures), base::Deadline::never(), when);
}
/// The same, or until the timeout has passed.
template <future_detail::RangeOfFutures Futures, class Rep, class Period>
auto wait(Futures&& futures, std::chrono::duration<Rep, Period> timeout,
          ReturnWhen when = ALL_COMPLETED) {
  return future_detail::wait(future_detail::distinct(futures), base::Deadline::after(timeout),
                             when);
}

/// Futures in the order in which they are done: see as_completed().
template <class R>
class [[nodiscard]] AsCompleted {
 public:
  /// REQUIRES: not called by users.
  AsCompleted(std::vector<Future<R>> const& futures, base::Deadline deadline)
      : left_(futures), count_(left_.size()), deadline_(deadline) {}

  /// nullopt: that were all. Blocks: until one more is done. Throws: TimeoutError.
  std::optional<Future<R>> next() {
    if (done_.empty() && left_.empty()) return std::nullopt;
    auto const is_found = [this] { return find_done(); };
    if (done_.empty() && !is_found() &&
        !work::await_any(future_detail::groups_of(left_), is_found, deadline_)) {
      throw TimeoutError("as_completed: " + std::to_string(left_.size()) + " (of " +
                         std::to_string(count_) + ") futures unfinished");
    }
    Future<R> done = std::move(done_.front());
    done_.pop_front();
    return done;
  }

  using iterator = base::NextIterator<AsCompleted, Future<R>>;
  /// Takes the first.
  iterator begin() { return iterator(*this); }
  std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

 private:
  /// All of them at once: to look costs as much as there are.
  bool find_done() {
    auto const first_done = std::stable_partition(left_.begin(), left_.end(),
                                                  [](auto const& each) { return !each.done(); });
    std::move(first_done, left_.end(), std::back_inserter(done_));
    left_.erase(first_done, left_.end());
    return !done_.empty();
  }

  std::vector<Future<R>> left_;
  std::deque<Future<R>> done_;
  std::size_t count_;
  base::Deadline deadline_;
};

/// The futures, each once, in the order in which they are done: an input range.
/// Blocks, reading: until one more is done. Threads: external synchronization.
/// Python: concurrent.futures.as_completed
template <future_detail::RangeOfFutures Futures>
auto as_completed(Futures&& futures) {
  return AsCompleted(future_detail::distinct(futures), base::Deadline::never());
}
/// The same; reading throws TimeoutError when that much time has passed since this call.
template <future_detail::RangeOfFutures Futures, class Rep, class Period>
auto as_completed(Futures&& futures, std::chrono::duration<Rep, Period> timeout) {
  return AsCompleted(future_detail::distinct(futures), base::Deadline::after(timeout));
}

}  // namespace multiprocessing
