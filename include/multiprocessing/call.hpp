// SPDX-License-Identifier: BSL-1.0
// One call in a process of its own, whatever it may do to that.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/launch/exit_request.hpp>
#include <multiprocessing/os/memory_limit.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/wait.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

/// What can be said of a call(). Python: none
struct CallOptions {
  /// The process is killed when it has not ended by then; what it has started is not. Begins when
  /// the process does. Default: it has all the time.
  std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
  /// Bytes that the process may allocate beyond what it begins with. Default: what the machine has.
  std::optional<std::uint64_t> max_memory = std::nullopt;
  /// Default: what set_start_method() says.
  std::optional<StartMethod> start_method = std::nullopt;
};

namespace call_detail {

/// What a process has to say in the end.
template <class R>
struct Outcome {
  std::optional<R> value;
  wire::ExceptionRecord error;
  bool wanted_too_much = false;
};

template <class R, class F, class... Args>
void run(Connection<Outcome<R>, void> out, std::optional<std::uint64_t> max_memory, F f,
         Args... args) {
  Outcome<R> outcome;
  try {
    std::optional<os::MemoryLimit> limit;
    if (max_memory) limit.emplace(*max_memory);
    if constexpr (std::is_void_v<std::invoke_result_t<F, Args...>>) {
      std::invoke(std::move(f), std::move(args)...);
      outcome.value.emplace();
    } else {
      outcome.value.emplace(std::invoke(std::move(f), std::move(args)...));
    }
  } catch (launch::ExitRequest const&) {
    throw;
  } catch (...) {
    try {
      throw;
    } catch (std::bad_alloc const&) {
      outcome.wanted_too_much = max_memory.has_value();
    } catch (...) {  // is told as it is
    }
    if (!outcome.wanted_too_much) {
      outcome.error = wire::record_current_exception();
      wire::add_origin(outcome.error,
                       RemoteTraceback(launch::identity().name, os::this_pid(), "call"));
    }
  }
  out.send(outcome);
}

}  // namespace call_detail

/// `f(args...)` in a process that is made for it: what it returns, or throws. Both are sent: see
/// Picklable. Blocks: until the process has said so, or ended.
/// Throws: what f does; ProcessDied when the process ended without a word, by a signal or exit;
/// TaskTimeout and MemoryLimitExceeded, see CallOptions; as Process::start().
/// Threads: safe. Python: none; concurrent.futures with one worker
template <class F, class... Args>
auto call(CallOptions options, F&& f, Args&&... args) {
  using Result = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;
  static_assert(!std::is_reference_v<Result>,
                "multiprocessing: what is returned from another process has to be a value");
  using R = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;
  wire::require_picklable<R>();
  process_detail::require_callable<std::decay_t<F>>("call", f);
  auto [receiver, sender] = Pipe<call_detail::Outcome<R>>(one_way);
  Process process({.start_method = options.start_method},
                  &call_detail::run<R, std::decay_t<F>, std::decay_t<Args>...>, std::move(sender),
                  options.max_memory, std::forward<F>(f), std::forward<Args>(args)...);
  auto const name = process.name();
  auto const deadline =
      options.timeout ? base::Deadline::after(*options.timeout) : base::Deadline::never();
  auto const fail = [&]<class E>(std::type_identity<E>, std::string const& what) {
    process.kill();  // whatever it still does
    process.join();
    throw E("call: " + name + " " + what, process.pid().value(), process.exitcode().value());
  };
  auto const died = [&] {
    process.join();
    auto const how = process.exit_status()->to_string();
    fail(std::type_identity<ProcessDied>{}, how);
  };
  process.start();
  std::optional<call_detail::Outcome<R>> outcome;
  try {
    // Its end is waited for, too: what it has started may still have the pipe.
    auto const ready = options.timeout ? wait({&receiver, process.sentinel()}, deadline.remaining())
                                       : wait({&receiver, process.sentinel()});
    if (receiver.poll()) {
      outcome = receiver.recv();
    } else if (!ready.empty()) {
      died();
    }
  } catch (EOFError const&) {
    died();
  }
  if (!outcome) fail(std::type_identity<TaskTimeout>{}, "was killed when its time had passed");
  if (outcome->wanted_too_much) {
    fail(std::type_identity<MemoryLimitExceeded>{},
         "wanted more than " + std::to_string(*options.max_memory) + " bytes");
  }
  // It has said what it had to say: at its deadline it need not have ended by itself.
  if (!process.join_until(deadline.is_never() ? std::chrono::steady_clock::time_point::max()
                                              : deadline.time())) {
    process.kill();
    process.join();
  }
  if (!outcome->value) wire::throw_recorded(outcome->error);
  if constexpr (!std::is_void_v<Result>) return std::move(*outcome->value);
}
template <class F, class... Args>
requires(!std::same_as<std::remove_cvref_t<F>, CallOptions>) auto call(F&& f, Args&&... args) {
  return call(CallOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace multiprocessing
