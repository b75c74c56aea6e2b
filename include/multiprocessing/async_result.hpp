// SPDX-License-Identifier: BSL-1.0
// What a pool's calls return that do not wait.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/task.hpp>
#include <multiprocessing/work/when_ready.hpp>

namespace multiprocessing {

/// For cancel(): also what a worker runs already. That worker is killed, and replaced.
struct CancelRunning {
  explicit CancelRunning() = default;
};
inline constexpr CancelRunning cancel_running{};

/// What is called with a result: a function, or a function object that is no template, of one
/// argument, or of none where the task returns nothing. One that throws harms nobody.
class ResultCallback {
 public:
  ResultCallback() = default;
  /// From whatever std::function can be made of without saying its type.
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, ResultCallback>) ResultCallback(F&& f)
      : ResultCallback(std::function(std::forward<F>(f))) {}
  template <class R, class Value>
  ResultCallback(std::function<R(Value)> f)
      : type_(&typeid(std::remove_cvref_t<Value>)), call_([f = std::move(f)](void* value) {
          f(static_cast<Value&&>(*static_cast<std::remove_cvref_t<Value>*>(value)));
        }) {}
  template <class R>
  ResultCallback(std::function<R()> f)
      : type_(&typeid(void)), call_([f = std::move(f)](void*) { f(); }) {}

  explicit operator bool() const noexcept { return type_ != nullptr; }

  /// Throws: TypeError unless it takes a Result.
  template <class Result>
  void require(char const* call) const {
    if (type_ == nullptr || *type_ == typeid(Result)) return;
    throw TypeError(std::string(call) + ": the callback takes a " + base::type_name(*type_) +
                    ", the result is a " + base::type_name(typeid(Result)));
  }
  /// REQUIRES: required before.
  void operator()(void* value) const {
    if (type_ != nullptr) call_(value);
  }

 private:
  std::type_info const* type_ = nullptr;
  std::function<void(void*)> call_;
};

/// A result that will be there later. Copies are the same.
///
/// Threads: safe. Processes: only the one that owns the pool. Dropping all of them does not stop
/// the task. When the pool's owner dies, so do its tasks.
/// Python: multiprocessing.pool.AsyncResult
template <class R>
class AsyncResult {
 public:
  /// REQUIRES: not called by users, Pool makes them.
  AsyncResult(std::shared_ptr<work::TaskGroup> group, work::Collect<R>* collect) noexcept
      : group_(std::move(group)), collect_(collect) {}

  /// What the call returned, as a new value each time.
  /// Blocks: until it has returned. Throws: what it threw, as Pool::map() does; WorkerDied when its
  /// worker did; CancelledError when it was cancelled or the pool terminated; BrokenProcessPool.
  R get() const {
    wait();
    return collect_(*group_);
  }
  /// The same. Throws also: TimeoutError.
  template <class Rep, class Period>
  R get(std::chrono::duration<Rep, Period> timeout) const {
    if (!wait_for(timeout)) {
      throw TimeoutError(std::string(group_->call()) + ": it has not returned in time");
    }
    return collect_(*group_);
  }

  /// Blocks: until it has returned or failed, and the callback has, too.
  void wait() const { await(base::Deadline::never()); }
  /// The same; false: not in time.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_for(timeout);
  }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return await(base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> time) const {
    return await(base::Deadline::at(time));
  }

  /// Whether get() would not block.
  bool ready() const { return group_->is_ready(); }

  /// Whether it returned. Throws: std::invalid_argument while it has not returned or failed.
  bool successful() const {
    if (!ready()) {
      throw std::invalid_argument(std::string(group_->call()) +
                                  ": successful() was asked for before it had returned");
    }
    for (std::size_t i = 0; i < group_->size(); ++i) {
      if (group_->phase(i) != work::TaskGroup::Phase::Done) return false;
    }
    return true;
  }

  /// Gives up what no worker has begun. Whether all of it is given up now: get() throws
  /// CancelledError then. Python: none
  bool cancel() const noexcept { return group_->cancel(); }
  bool cancel(CancelRunning) const noexcept { return group_->cancel_running(); }
  /// Gives up what no worker has begun, and asks what runs to stop: stop_requested() is true there
  /// from now on. Whether it does so is up to it; when it throws it is not run again. In another
  /// process than the owner's nothing happens. Python: none
  void request_stop() const noexcept { group_->request_stop(); }

  /// As Future's, once it is ready(). Python: none
  int fileno() const { return work::descriptor_of(group_); }
  work::Awaiter<R> operator co_await() const noexcept { return {group_, collect_}; }

 private:
  friend class Pool;

  bool await(base::Deadline deadline) const {
    if (!group_->wait_until(deadline)) return false;
    return !group_->has_callback() ||
           group_->crew().callbacks().wait(group_->is_called_back(), deadline);
  }

  /// Throws: std::system_error when there is no thread to call them.
  void call_back(ResultCallback callback, std::function<void(std::exception_ptr)> error_callback) {
    if (!callback && !error_callback) return;
    auto call = [group = group_, collect = collect_, callback = std::move(callback),
                 error_callback = std::move(error_callback)] {
      std::exception_ptr error;
      if constexpr (std::is_void_v<R>) {
        try {
          collect(*group);
        } catch (...) {
          error = std::current_exception();
        }
        if (error == nullptr) return callback(nullptr);
      } else {
        std::optional<R> value;
        try {
          value.emplace(collect(*group));
        } catch (...) {
          error = std::current_exception();
        }
        if (value) return callback(&*value);
      }
      if (error_callback) error_callback(error);
    };
    group_->crew().callbacks().add(
        [group = group_] { return group->settled(); }, std::move(call),
        std::shared_ptr<std::atomic<bool>>(group_, &group_->is_called_back()));
    group_->expect_callback();
  }

  std::shared_ptr<work::TaskGroup> group_;
  work::Collect<R>* collect_;
};

}  // namespace multiprocessing
