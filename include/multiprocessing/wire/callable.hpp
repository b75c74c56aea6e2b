// SPDX-License-Identifier: BSL-1.0
// Code that crosses processes: as a place in a module, which address randomisation, exec and shared
// libraries don't change, where a plain address would be a guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/bitwise.hpp>

namespace multiprocessing::wire {

/// A function in any process that has loaded the same build of the same module.
struct CodePlace {
  std::uint64_t module = 0;
  std::uint64_t offset = 0;

  friend bool operator==(CodePlace const&, CodePlace const&) = default;
};

/// Throws: Error when the function lies in no loaded module (code made at run time).
template <class Result, class... Arguments>
CodePlace place_of(Result (*function)(Arguments...)) {
  auto const address = reinterpret_cast<std::uintptr_t>(function);
  auto const module = os::module_at(address);
  if (!module) throw Error("this function lies in no loaded module, so no other process has it");
  return {module->identity, address - module->base};
}

/// Throws: Error when the module, or this build of it, is not among `modules`.
template <class Function>
Function* function_at(CodePlace place, os::ModuleTable const& modules) {
  auto const* const module = modules.find(place.module);
  if (module == nullptr) {
    throw Error(
        "the function's module is not loaded in this process: a shared library that was loaded "
        "after this process had started, or another build");
  }
  return reinterpret_cast<Function*>(module->base + place.offset);
}

namespace callable_detail {
template <class F>
struct is_function_pointer : std::false_type {};
template <class Result, class... Arguments>
struct is_function_pointer<Result (*)(Arguments...)> : std::true_type {};
template <class Result, class... Arguments>
struct is_function_pointer<Result (*)(Arguments...) noexcept> : std::true_type {};
}  // namespace callable_detail

template <class F>
concept FunctionPointer = callable_detail::is_function_pointer<F>::value;

/// A function, a captureless lambda, or a function object whose captures are plain values.
template <class F>
concept Sendable = FunctionPointer<F> ||
                   (std::is_class_v<F>&& std::is_empty_v<F>&& std::is_trivially_copyable_v<F>) ||
                   (std::is_class_v<F> && Bitwise<F>);

/// The one sentence for callables that can not travel. REQUIRES: F is decayed.
template <class F>
constexpr void require_sendable() {
  static_assert(Sendable<F>,
                "multiprocessing: this callable can not be sent to another process, because it "
                "captures a reference, `this`, a pointer, or a value that is not trivially "
                "copyable; capture plain values ([n], not [&]), use a captureless lambda or a "
                "function, or put what it needs into the items");
}

template <Sendable F>
void encode_callable(Encoder& encoder, F const& callable) {
  if constexpr (FunctionPointer<F>) {
    encoder(place_of(callable));
  } else {
    encoder.write(std::addressof(callable), sizeof callable);
  }
}

template <Sendable F>
F decode_callable(Decoder& decoder, os::ModuleTable const& modules) {
  if constexpr (FunctionPointer<F>) {
    return function_at<std::remove_pointer_t<F>>(decode<CodePlace>(decoder), modules);
  } else {
    alignas(F) std::byte storage[sizeof(F)];
    decoder.read(storage, sizeof(F));
    return *std::launder(reinterpret_cast<F*>(storage));
  }
}

}  // namespace multiprocessing::wire
