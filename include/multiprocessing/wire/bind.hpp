// SPDX-License-Identifier: BSL-1.0
// A callable with its first arguments, which crosses processes when its parts do.
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing {

/// What bind() returns: calls `f(args..., rest...)`.
template <class F, class... Args>
class Bound {
 public:
  /// As bind() does.
  constexpr explicit Bound(F f, Args... args) : f_(std::move(f)), args_(std::move(args)...) {}

  /// What `f` returns. Throws: what it throws.
  template <class... Rest>
  requires std::is_invocable_v<F&, Args&..., Rest...>
  constexpr decltype(auto) operator()(Rest&&... rest) {
    return call(f_, args_, std::forward<Rest>(rest)...);
  }
  template <class... Rest>
  requires std::is_invocable_v<F const&, Args const&..., Rest...>
  constexpr decltype(auto) operator()(Rest&&... rest) const {
    return call(f_, args_, std::forward<Rest>(rest)...);
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Archive>
  void save(Archive& archive) const {
    archive(f_, args_);
  }
  static Bound decode_from(wire::Decoder& decoder) {
    return Bound{Parts{}, decoder};  // the braces there keep the order
  }

 private:
  struct Parts {};
  Bound(Parts, wire::Decoder& decoder)
      : f_(wire::decode_next<F>(decoder)), args_{wire::decode_next<Args>(decoder)...} {}

  template <class Self, class Tuple, class... Rest>
  static constexpr decltype(auto) call(Self& f, Tuple& args, Rest&&... rest) {
    return std::apply(
        [&](auto&... bound) -> decltype(auto) {
          return std::invoke(f, bound..., std::forward<Rest>(rest)...);
        },
        args);
  }

  F f_;
  std::tuple<Args...> args_;
};

/// `f` with its first arguments fixed, as copies. What a lambda's captures can not be, these can:
/// any Picklable type, like std::string. Python: functools.partial
template <class F, class... Args>
[[nodiscard]] constexpr auto bind(F&& f, Args&&... args) {
  return Bound<std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(f),
                                                       std::forward<Args>(args)...);
}

template <class F, class... Args>
struct wire::picklable_detail::Parts<Bound<F, Args...>> : Of<F, Args...> {};

}  // namespace multiprocessing
