// SPDX-License-Identifier: BSL-1.0
// Runs a function when the scope is left, whichever way, unless dismissed.
#pragma once

#include <utility>

namespace multiprocessing::base {

template <class Function>
class [[nodiscard]] ScopeGuard {
 public:
  explicit ScopeGuard(Function function) : function_(std::move(function)) {}
  ScopeGuard(ScopeGuard const&) = delete;
  ScopeGuard& operator=(ScopeGuard const&) = delete;
  ~ScopeGuard() {
    if (armed_) function_();
  }

  void dismiss() noexcept { armed_ = false; }

 private:
  Function function_;
  bool armed_ = true;
};

}  // namespace multiprocessing::base
