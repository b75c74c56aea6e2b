// SPDX-License-Identifier: BSL-1.0
// What other programs may do with objects of a class: what has a name here, and nothing else. No
// address of code is sent, or accepted.
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/serve/end_of_copy.hpp>
#include <multiprocessing/serve/object_lock.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/wire/type_hash.hpp>

namespace multiprocessing::serve {

/// An argument as it is sent: text by pointer as a std::string.
template <class Arg, class Decayed = std::decay_t<Arg>>
using Sent =
    std::conditional_t<std::is_same_v<Decayed, char const*> || std::is_same_v<Decayed, char*>,
                       std::string, Decayed>;

/// What both sides of a call have to agree in.
struct Signature {
  std::uint64_t arguments;
  std::uint64_t result;

  template <class Result, class... Args>
  static constexpr Signature of() {
    return {wire::kTypeHash<std::tuple<Args...>>, wire::kTypeHash<Result>};
  }
  friend bool operator==(Signature const&, Signature const&) = default;
};

/// The next value of a message of another program. Throws: UnpicklingError, also for code.
template <class T>
T take_foreign(std::span<std::byte const>& bytes) {
  os::ModuleTable const nowhere;
  return wire::decode<T>(bytes, &nowhere);
}

/// An object that others may call.
struct ExposedObject {
  std::shared_ptr<void> value;
  ObjectLock lock;
};

struct ExposedMethod {
  std::string declaration;  ///< as in C++, for messages
  Signature signature;
  std::any pointer;  ///< to the member function that it is
  /// Calls it with the encoded arguments, and appends the encoded result.
  std::function<void(ExposedObject& object, std::span<std::byte const> args, wire::Bytes& result)>
      call;
};

enum class Exclusion {
  OneCallAtATime,
  ThreadSafe,  ///< calls may be at an object at once
};

struct ExposedType {
  std::string name;
  std::type_index type;
  Exclusion exclusion;
  Signature constructor;
  std::string constructor_declaration;  ///< for messages
  /// An object, from the encoded arguments. Empty: others can not make any.
  std::function<std::shared_ptr<void>(std::span<std::byte const> args)> make;
  std::map<std::string, ExposedMethod, std::less<>> methods;

  /// Throws: std::invalid_argument when none has the name.
  ExposedMethod const& method(std::string_view its_name) const {
    if (auto const found = methods.find(its_name); found != methods.end()) return found->second;
    throw std::invalid_argument("no method " + name + "." + std::string(its_name) +
                                " is registered");
  }
  /// The name of what was registered as `function`. Throws: std::invalid_argument when nothing was.
  template <class F>
  std::string const& name_of(F function) const {
    for (auto const& [its_name, each] : methods) {
      auto const* const known = std::any_cast<F>(&each.pointer);
      if (known != nullptr && *known == function) return its_name;
    }
    throw std::invalid_argument("the member function is not registered as a method of " + name +
                                ": " + base::type_name(typeid(F)));
  }
};

namespace exposed_type_detail {

inline std::unique_lock<ObjectLock> lock(ExposedObject& object, Exclusion exclusion) {
  if (exclusion == Exclusion::ThreadSafe) return {};
  return std::unique_lock(object.lock);
}

/// Its object, and its parameters without that.
template <class Object, class Result, class... Parameters>
struct Shape {};
template <class R, class C, class... P>
Shape<C&, R, std::decay_t<P>...> shape_of_member(R (C::*)(P...));
template <class R, class C, class... P>
Shape<C&, R, std::decay_t<P>...> shape_of_member(R (C::*)(P...) const);
template <class R, class T, class... P>
Shape<T, R, std::decay_t<P>...> shape_of_function(R (*)(T, P...));
template <class R, class C, class T, class... P>
Shape<T, R, std::decay_t<P>...> shape_of_object(R (C::*)(T, P...));
template <class R, class C, class T, class... P>
Shape<T, R, std::decay_t<P>...> shape_of_object(R (C::*)(T, P...) const);

template <class F>
auto shape_of(F const& function) {
  if constexpr (std::is_member_function_pointer_v<F>) {
    static_assert(
        requires { shape_of_member(function); },
        "multiprocessing: a member function with a ref-qualifier, or for volatile "
        "objects, can not be a method; wrap it in a lambda");
    if constexpr (requires { shape_of_member(function); }) {
      return decltype(shape_of_member(function)){};
    }
  } else if constexpr (std::is_pointer_v<F>) {
    return decltype(shape_of_function(function)){};
  } else {
    static_assert(
        requires { &F::operator(); },
        "multiprocessing: of a generic lambda nobody knows the types that it is called "
        "with; write them");
    if constexpr (requires { &F::operator(); }) {
      return decltype(shape_of_object(&F::operator())){};
    }
  }
}

/// The pointer by which it is called: without noexcept.
template <class R, class C, class... P>
std::any plain(R (C::*method)(P...)) {
  return method;
}
template <class R, class C, class... P>
std::any plain(R (C::*method)(P...) const) {
  return method;
}

template <class T, class F, class Object, class R, class... Args>
ExposedMethod describe(F function, Exclusion exclusion, Shape<Object, R, Args...>) {
  using Result = std::remove_cvref_t<R>;
  static_assert(std::is_reference_v<Object>,
                "multiprocessing: the method takes the object by value, and would change a copy of "
                "it; take a reference");
  (wire::require_picklable<Args>(), ...);
  if constexpr (!std::is_void_v<Result>) wire::require_picklable<Result>();
  static_assert(
      std::is_invocable_v<F&, T&, Args...>,
      "multiprocessing: a method takes the object, and values or references to const: what "
      "it changed would change in the server only; return it instead");
  auto const call = [function, exclusion](ExposedObject& object,
                                          [[maybe_unused]] std::span<std::byte const> bytes,
                                          [[maybe_unused]] wire::Bytes& reply) {
    std::tuple<Args...> args{take_foreign<Args>(bytes)...};  // the braces keep the order
    auto its_function = function;
    auto const invoke = [&]() -> Result {
      auto const alone = lock(object, exclusion);
      EndOfCopy const end_copy;
      return std::apply(
          [&](Args&... each) -> Result {
            return std::invoke(its_function, *static_cast<T*>(object.value.get()),
                               std::move(each)...);
          },
          args);
    };
    if constexpr (std::is_void_v<Result>) {
      invoke();
    } else {
      wire::encode(reply, invoke());
    }
  };
  std::any pointer;
  if constexpr (std::is_member_function_pointer_v<F>) pointer = plain(function);
  return {base::type_name(typeid(Result(Args...))), Signature::of<Result, Args...>(),
          std::move(pointer), call};
}

template <class T, class... Args>
std::shared_ptr<void> make([[maybe_unused]] std::span<std::byte const> bytes) {
  std::tuple<Args...> args{take_foreign<Args>(bytes)...};
  EndOfCopy const end_copy;
  return std::apply([](Args&... each) { return std::make_shared<T>(std::move(each)...); }, args);
}

}  // namespace exposed_type_detail

/// A T(args...) that others can make, if T has such a constructor.
template <class T, class... Args>
ExposedType describe_type(std::string name, Exclusion exclusion) {
  ExposedType type{std::move(name),
                   typeid(T),
                   exclusion,
                   Signature::of<void, std::decay_t<Args>...>(),
                   base::type_name(typeid(void(Args...))),
                   {},
                   {}};
  if constexpr (std::is_constructible_v<T, std::decay_t<Args>...>) {
    type.make = &exposed_type_detail::make<T, std::decay_t<Args>...>;
  }
  return type;
}

/// A pointer to a member function of T, a function, or a function object, that takes a T& first.
template <class T, class F>
ExposedMethod describe_method(F function, Exclusion exclusion) {
  return exposed_type_detail::describe<T>(function, exclusion,
                                          exposed_type_detail::shape_of(function));
}

/// By name. Threads: one, or all that only read.
class ExposedTypes {
 public:
  /// Throws: std::invalid_argument when the name, or the class, is registered already.
  ExposedType& add(ExposedType type) {
    if (types_.contains(type.name)) refuse("the name \"" + type.name + "\"");
    if (find(type.type) != nullptr) refuse("the class " + base::readable_name(type.type.name()));
    auto name = type.name;
    return types_.emplace(std::move(name), std::move(type)).first->second;
  }
  /// Null when there is none.
  ExposedType const* find(std::string_view name) const {
    auto const found = types_.find(name);
    return found == types_.end() ? nullptr : &found->second;
  }
  ExposedType const* find(std::type_index type) const {
    for (auto const& [name, each] : types_) {
      if (each.type == type) return &each;
    }
    return nullptr;
  }
  /// Throws: std::invalid_argument when it is not registered.
  ExposedType const& at(std::type_index type) const {
    if (auto const* const found = find(type)) return *found;
    throw std::invalid_argument("the class " + base::readable_name(type.name()) +
                                " is not registered");
  }

 private:
  [[noreturn]] static void refuse(std::string const& what) {
    throw std::invalid_argument("BaseManager.register_type: " + what + " is registered already");
  }

  std::map<std::string, ExposedType, std::less<>> types_;
};

}  // namespace multiprocessing::serve
