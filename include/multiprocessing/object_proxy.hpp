// SPDX-License-Identifier: BSL-1.0
// An object of any class in a manager's process.
#pragma once

#include <type_traits>
#include <utility>

#include <multiprocessing/base/item.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/serve/converted.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/refusal.hpp>

namespace multiprocessing {

class Manager;

namespace proxy_detail {

/// What stands behind all proxies of a T.
template <class T>
class Base {
 public:
  /// Calls `f(T&, args...)` in the manager's process, on copies of both, while no other call is at
  /// the object; returns what it does. So several steps happen as one. Blocks: until it has
  /// returned. Throws: what it throws, with where as its last cause; BrokenPipeError when that
  /// process has ended; PicklingError of an argument, and nothing was called; std::system_error
  /// (resource_deadlock_would_occur) from f, for a call that would wait for itself, and
  /// (resource_unavailable_try_again) when that process can not serve one more thread.
  template <class F, class... Args>
  auto with(F f, Args const&... args) const {
    return run_checked("with", f, args...);
  }

  /// Whether both are the same object.
  friend bool operator==(Base const& a, Base const& b) noexcept { return a.remote_ == b.remote_; }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    remote_.save(encoder);
  }

 protected:
  Base(char const* name, serve::Remote<T> remote) : name_(name), remote_(std::move(remote)) {}

  /// What users hand over: does not compile unless it can be sent and called.
  template <class F, class... Args>
  auto run_checked(char const* verb, F const& f, Args const&... args) const {
    wire::require_sendable<F>();
    (wire::require_picklable<Args>(), ...);
    static_assert(std::is_invocable_v<F const&, T&, Args...>,
                  "multiprocessing: the function can not be called with the object and these "
                  "arguments");
    using Result = std::remove_cvref_t<std::invoke_result_t<F const&, T&, Args...>>;
    if constexpr (!std::is_void_v<Result>) wire::require_picklable<Result>();
    return run(verb, f, args...);
  }
  template <class F, class... Args>
  auto run(char const* verb, F const& f, Args const&... args) const {
    return remote_.call(channel::Call{name_, verb}, f, args...);
  }
  /// The U that f(object, args...) has held().
  template <class U, class F, class... Args>
  serve::Remote<U> made_by(char const* verb, F const& f, Args const&... args) const {
    return remote_.template made_by<U>(channel::Call{name_, verb}, f, args...);
  }

 private:
  char const* name_;
  serve::Remote<T> remote_;
};

using base::Item;

}  // namespace proxy_detail

/// A handle of a T in a manager's process, which Manager::create() makes. A copy is the same
/// object, also in a process that is started with it, or receives it. The object is destroyed when
/// the last handle has gone, or its process, in any way: then, or when a thread that has called the
/// manager ends, or more objects are made. A forked child has all handles that its parent had.
/// Threads, processes: all members safe; a call at a time is at the object. Peer death: a call of
/// who is killed has happened, or not; it harms nobody else's. Throws: as with().
/// Python: the proxies of multiprocessing.managers. Differs: any member function, and any function,
/// can be called.
template <class T>
class ObjectProxy : public proxy_detail::Base<T> {
 public:
  /// Calls the member function with copies of the arguments. Blocks, throws: as with().
  template <class R, class C, class... Parameters, class... Args>
  requires(sizeof...(Parameters) == sizeof...(Args)) auto call(R (C::*member)(Parameters...),
                                                               Args&&... args) const {
    require<Parameters...>();
    return this->run("call", member, serve::converted<Parameters>(std::forward<Args>(args))...);
  }
  template <class R, class C, class... Parameters, class... Args>
  requires(sizeof...(Parameters) == sizeof...(Args)) auto call(R (C::*member)(Parameters...) const,
                                                               Args&&... args) const {
    require<Parameters...>();
    return this->run("call", member, serve::converted<Parameters>(std::forward<Args>(args))...);
  }

  /// A copy of the object.
  T copy() const {
    return this->run("copy", [](T& object) { return object; });
  }

  /// For the wire.
  template <class Decoder>
  static ObjectProxy decode_from(Decoder& decoder) {
    return ObjectProxy(serve::Remote<T>::decode_from(decoder));
  }

 private:
  friend Manager;
  explicit ObjectProxy(serve::Remote<T> remote)
      : proxy_detail::Base<T>("ObjectProxy", std::move(remote)) {}

  template <class... Parameters>
  static constexpr void require() {
    static_assert(
        ((!std::is_lvalue_reference_v<Parameters> ||
          std::is_const_v<std::remove_reference_t<Parameters>>)&&...),
        "multiprocessing: a parameter of the member function is a reference, and what is passed to "
        "it would change in the manager's process only; return it instead");
  }
};

}  // namespace multiprocessing
