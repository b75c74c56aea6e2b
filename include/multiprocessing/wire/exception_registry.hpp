// SPDX-License-Identifier: BSL-1.0
// The exception types that the user has made known, so that they cross processes as themselves.
#pragma once

#include <atomic>
#include <exception>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing::wire {

/// What can be done with a registered type.
struct KnownException {
  std::type_info const* type;
  /// Appends the state of the exception that is being handled, which is of the type or derived.
  void (*encode)(Bytes& sink);
  /// An exception from its state, or, where there is none, from its text.
  std::exception_ptr (*make)(std::span<std::byte const> state, std::string const& what);
  /// Throws it, from within the handler of another: that is its cause then.
  void (*throw_nested)(std::exception_ptr const& exception);
  KnownException const* next = nullptr;
};

namespace exception_registry_detail {

/// Only grows, by one store: readers need no lock, which could be held for ever after a fork.
inline std::atomic<KnownException const*> first{nullptr};

template <class E>
[[noreturn]] void throw_with_cause(E const& error) {
  if constexpr (std::is_class_v<E> && !std::is_final_v<E> &&
                !std::is_base_of_v<std::nested_exception, E>) {
    std::throw_with_nested(E(error));  // of a const one it would make another type
  } else {
    throw error;  // can not carry a cause, or takes it by itself
  }
}

template <class E>
void encode(Bytes& sink) {
  if constexpr (Picklable<E>) {
    try {
      throw;
    } catch (E const& error) {
      wire::encode(sink, error);
    }
  }
}

template <class E>
std::exception_ptr make(std::span<std::byte const> state, std::string const& what) {
  if constexpr (Picklable<E>) {
    return std::make_exception_ptr(wire::decode<E>(state));
  } else {
    return std::make_exception_ptr(E(what));
  }
}

template <class E>
void throw_nested(std::exception_ptr const& exception) {
  auto const cause = std::current_exception();
  try {
    std::rethrow_exception(exception);
  } catch (E const& error) {
    try {
      std::rethrow_exception(cause);
    } catch (...) {
      throw_with_cause(error);
    }
  }
}

template <class E>
KnownException entry{&typeid(E), &encode<E>, &make<E>, &throw_nested<E>};

}  // namespace exception_registry_detail

/// Threads: safe.
template <class E>
void register_exception() {
  using namespace exception_registry_detail;
  static bool const once = [] {
    auto& mine = entry<E>;
    mine.next = first.load(std::memory_order_relaxed);
    // release: pairs with the acquire in known_exception()
    while (!first.compare_exchange_weak(mine.next, &mine, std::memory_order_release,
                                        std::memory_order_relaxed)) {
    }
    return true;
  }();
  static_cast<void>(once);
}

/// Null when no registered type has this name.
inline KnownException const* known_exception(std::string const& type_name) {
  // acquire: pairs with the release in register_exception()
  auto const* known = exception_registry_detail::first.load(std::memory_order_acquire);
  while (known != nullptr && base::type_name(*known->type) != type_name) known = known->next;
  return known;
}

}  // namespace multiprocessing::wire
