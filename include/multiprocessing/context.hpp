// SPDX-License-Identifier: BSL-1.0
// A start method of one's own, for a library that must not change the program's.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include <multiprocessing/call.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/start_method.hpp>  // IWYU pragma: export

namespace multiprocessing {

/// Makes what is started its way. Shared objects belong to no context: every one can be an argument
/// of every process. Threads: safe; a value. Python: what multiprocessing.get_context returns;
/// differs: there queues and locks are tied to it
class Context {
 public:
  /// As get_context() does.
  explicit Context(StartMethod method) noexcept : method_(method) {}

  /// What its processes and pools are started by.
  StartMethod get_start_method() const noexcept { return method_; }

  /// As Process's constructors. An explicit start method in the options counts.
  template <class F, class... Args>
  Process process(ProcessOptions options, F&& f, Args&&... args) const {
    if (!options.start_method) options.start_method = method_;
    return Process(std::move(options), std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, ProcessOptions>) Process
      process(F&& f, Args&&... args)
  const { return process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...); }

  /// As Pool's constructors.
  Pool pool(PoolOptions options = {}) const {
    if (!options.start_method) options.start_method = method_;
    return Pool(options);
  }
  Pool pool(int processes) const { return pool({.processes = processes}); }

  /// As multiprocessing::call().
  template <class F, class... Args>
  auto call(CallOptions options, F&& f, Args&&... args) const {
    if (!options.start_method) options.start_method = method_;
    return multiprocessing::call(options, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, CallOptions>) auto call(F&& f,
                                                                         Args&&... args) const {
    return call(CallOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
  }

 private:
  StartMethod method_;
};

/// Default: the program's method, which that fixes. Python: multiprocessing.get_context
inline Context get_context(std::optional<StartMethod> method = std::nullopt) {
  return Context(method ? *method : get_start_method());
}

}  // namespace multiprocessing
