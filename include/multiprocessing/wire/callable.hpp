// SPDX-License-Identifier: BSL-1.0
// What can be called in another process.
#pragma once

#include <type_traits>

#include <multiprocessing/wire/picklable.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing::wire {

/// A function, a lambda without captures or with plain ones, a function object that is Picklable, a
/// pointer to a member, or one of these with bound arguments. REQUIRES: F is decayed.
template <class F>
concept Sendable = (CodePointer<F> || std::is_class_v<F>)&&Picklable<F>;

/// Does not compile unless F is Sendable; the error says why not.
template <class F>
constexpr void require_sendable() {
  using Judgement = picklable_detail::Judgement<F>;
  using Culprit = typename Judgement::Culprit;
  // Of a generic lambda nobody can tell that it is one; but here it is called.
  constexpr bool is_closure =
      std::is_same_v<Culprit, F> && !std::is_aggregate_v<F> &&
      (Judgement::kWhy == Refusal::OpaqueBytes || Judgement::kWhy == Refusal::NoFunctions);
  refusal_detail::explain<Culprit, is_closure ? Refusal::CallableWithCaptures : Judgement::kWhy>();
}

}  // namespace multiprocessing::wire
