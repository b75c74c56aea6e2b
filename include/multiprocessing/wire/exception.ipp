// SPDX-License-Identifier: BSL-1.0
// Which exceptions are known by their own type, and how each is taken apart and made again.
#pragma once

#include <algorithm>
#include <any>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <future>
#include <ios>
#include <new>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/wire/exception_registry.hpp>

namespace multiprocessing::wire {

namespace exception_detail {

// A cause that is its own cause has no end; and the origins of a task in a task in a task come on
// top.
inline constexpr std::size_t kLongestChain = 32;
inline constexpr std::size_t kLongestChainToThrow = 2 * kLongestChain;

// Rebuilt from their text.
using WithText =
    TypeList<std::runtime_error, std::logic_error, std::invalid_argument, std::domain_error,
             std::length_error, std::out_of_range, std::range_error, std::overflow_error,
             std::underflow_error, Error, BrokenBarrierError, BrokenContainerError,
             BrokenProcessPool, CancelledError, PicklingError, UnpicklingError, TypeError,
             TimeoutError, Empty, Full, ShutDown, EOFError, BrokenPipeError, AuthenticationError>;
// Rebuilt from nothing.
using WithoutText =
    TypeList<std::bad_alloc, std::bad_array_new_length, std::bad_cast, std::bad_typeid,
             std::bad_exception, std::bad_function_call, std::bad_optional_access,
             std::bad_variant_access, std::bad_any_cast, std::bad_weak_ptr, std::exception>;

inline std::error_category const* category_named(std::string const& name) {
  for (auto const* category : {&std::generic_category(), &std::system_category(),
                               &std::iostream_category(), &std::future_category()}) {
    if (name == category->name()) return category;
  }
  return nullptr;
}

/// What a std::system_error was made with: its what() repeats the code's message behind that.
inline std::string text_before_message(std::string text, std::error_code code) {
  auto const message = code.message();
  if (text == message) return {};
  if (text.ends_with(": " + message)) text.resize(text.size() - message.size() - 2);
  return text;
}

/// std::throw_with_nested throws a type of its own, derived from the one it was given.
inline std::string without_nesting(std::string name) {
  constexpr std::string_view kPrefix = "std::_Nested_exception<";
  if (name.starts_with(kPrefix) && name.ends_with('>')) {
    name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - 1);
    if (name.ends_with(" const")) name.resize(name.size() - 6);
    while (name.ends_with(' ')) name.pop_back();  // between two closing brackets
  }
  return name;
}

inline void record_own_state(ExceptionState& state) noexcept {
  try {
    if (auto const* const known = known_exception(state.type_name)) known->encode(state.own);
  } catch (...) {
    state.own.clear();  // the text has to do
  }
}

/// REQUIRES: called while an exception is handled.
inline ExceptionState record_one() {
  ExceptionState state;
  state.type_name = without_nesting(base::current_exception_type_name());
  auto const take_code = [&](std::error_code const& code) {
    state.category = code.category().name();
    state.code = code.value();
  };
  try {
    throw;
  } catch (std::filesystem::filesystem_error const& error) {
    state.what = error.std::system_error::what();
    state.texts = {error.path1().native(), error.path2().native()};
    take_code(error.code());
  } catch (std::ios_base::failure const& error) {  // streams throw a class derived from it
    state.type_name = base::type_name(typeid(std::ios_base::failure));
    state.what = base::text_of(error);
    take_code(error.code());
  } catch (std::system_error const& error) {
    state.what = base::text_of(error);
    take_code(error.code());
  } catch (std::future_error const& error) {
    state.what = base::text_of(error);
    take_code(error.code());
  } catch (std::regex_error const& error) {
    state.what = base::text_of(error);
    state.code = static_cast<std::int32_t>(error.code());
  } catch (ProcessDied const& error) {
    state.what = base::text_of(error);
    state.code = error.exitcode();
    state.pid = error.pid();
  } catch (RemoteTraceback const& error) {
    state.what = base::text_of(error);
    state.pid = error.pid();
    state.texts = {error.process_name(), error.task()};
  } catch (BufferTooShort const& error) {
    state.what = base::text_of(error);
    state.texts = {std::to_string(error.size())};
  } catch (RemoteError const& error) {  // already second-hand: keep the first type
    state.type_name = error.type_name();
    state.what = base::text_of(error);
    auto const prefix = state.type_name + ": ";
    if (state.what.starts_with(prefix)) state.what.erase(0, prefix.size());
  } catch (std::exception const& error) {
    state.what = base::text_of(error);
  } catch (char const* text) {
    state.what = text != nullptr ? text : "";
  } catch (std::string const& text) {
    state.what = text;
  } catch (...) {
    state.what = "thrown, but not a std::exception";
  }
  record_own_state(state);
  return state;
}

/// Null when the exception that is being handled has none.
inline std::exception_ptr current_cause() {
  try {
    throw;
  } catch (std::nested_exception const& nested) {
    return nested.nested_ptr();
  } catch (...) {
    return nullptr;
  }
}

/// Whether the exception that is being handled is the cause of what is thrown.
enum class Cause { None, Handled };

template <class E>
[[noreturn]] void throw_here(Cause cause, E const& error) {
  if (cause == Cause::None) throw error;
  exception_registry_detail::throw_with_cause(error);
}

template <class... Types>
void throw_if_named(Cause cause, ExceptionState const& state, TypeList<Types...>,
                    auto const& make) {
  auto const try_one = [&]<class E>(std::type_identity<E> type) {
    if (state.type_name == base::type_name(typeid(E))) throw_here(cause, make(type));
  };
  (try_one(std::type_identity<Types>{}), ...);
}

template <class E>
bool is(ExceptionState const& state) {
  return state.type_name == base::type_name(typeid(E));
}

inline void throw_if_with_code(Cause cause, ExceptionState const& state) {
  if (is<std::regex_error>(state)) {
    throw_here(cause, std::regex_error(static_cast<std::regex_constants::error_type>(state.code)));
  }
  auto const* const category = category_named(state.category);
  if (category == nullptr) return;
  std::error_code const code(state.code, *category);
  auto const text = text_before_message(state.what, code);
  if (is<std::system_error>(state)) {
    bool const has_text = !text.empty() || state.what != code.message();
    throw_here(cause, has_text ? std::system_error(code, text) : std::system_error(code));
  }
  if (is<std::ios_base::failure>(state)) throw_here(cause, std::ios_base::failure(text, code));
  if (is<std::future_error>(state)) {
    throw_here(cause, std::future_error(static_cast<std::future_errc>(state.code)));
  }
  if (is<std::filesystem::filesystem_error>(state) && state.texts.size() == 2) {
    using Error = std::filesystem::filesystem_error;
    auto const& [first, second] = std::tie(state.texts[0], state.texts[1]);
    throw_here(cause, !second.empty()  ? Error(text, first, second, code)
                      : !first.empty() ? Error(text, first, code)
                                       : Error(text, code));
  }
}

inline void throw_if_registered(Cause cause, ExceptionState const& state) {
  auto const* const known = known_exception(state.type_name);
  if (known == nullptr) return;
  std::exception_ptr made;
  try {
    made = known->make(state.own, state.what);
  } catch (...) {
    return;  // its own functions failed: the text has to do
  }
  if (cause == Cause::Handled) known->throw_nested(made);
  std::rethrow_exception(made);
}

/// Throws the exception of its own type where that is known here, RemoteError otherwise.
[[noreturn]] inline void throw_one(Cause cause, ExceptionState const& state) {
  throw_if_registered(cause, state);
  throw_if_named(cause, state, WithText{},
                 [&]<class E>(std::type_identity<E>) { return E(state.what); });
  throw_if_named(cause, state, WithoutText{}, []<class E>(std::type_identity<E>) { return E(); });
  throw_if_named(
      cause, state, TypeList<ProcessDied, WorkerDied, TaskTimeout, MemoryLimitExceeded>{},
      [&]<class E>(std::type_identity<E>) { return E(state.what, state.pid, state.code); });
  throw_if_with_code(cause, state);
  if (is<RemoteTraceback>(state) && state.texts.size() == 2) {
    throw_here(cause, RemoteTraceback(state.texts[0], state.pid, state.texts[1]));
  }
  if (is<BufferTooShort>(state) && state.texts.size() == 1) {
    throw_here(cause,
               BufferTooShort(state.what, std::strtoull(state.texts[0].c_str(), nullptr, 10)));
  }
  throw_here(cause, RemoteError(state.type_name, state.what));
}

[[noreturn]] inline void throw_chain(ExceptionRecord const& record, std::size_t i) {
  if (i + 1 == std::min(record.chain.size(), kLongestChainToThrow)) {
    throw_one(Cause::None, record.chain[i]);
  }
  try {
    throw_chain(record, i + 1);
  } catch (...) {
    throw_one(Cause::Handled, record.chain[i]);
  }
}

}  // namespace exception_detail

MULTIPROCESSING_INLINE ExceptionRecord record_current_exception() {
  ExceptionRecord record;
  record.chain.push_back(exception_detail::record_one());
  auto cause = exception_detail::current_cause();
  while (cause != nullptr && record.chain.size() < exception_detail::kLongestChain) {
    try {
      std::rethrow_exception(cause);
    } catch (...) {
      record.chain.push_back(exception_detail::record_one());
      cause = exception_detail::current_cause();
    }
  }
  return record;
}

MULTIPROCESSING_INLINE void add_origin(ExceptionRecord& record, RemoteTraceback const& origin) {
  try {
    throw origin;
  } catch (...) {
    record.chain.push_back(exception_detail::record_one());
  }
}

MULTIPROCESSING_INLINE void add_task(ExceptionRecord& record, std::string task) {
  if (record.chain.empty()) return;
  auto& origin = record.chain.back();
  if (exception_detail::is<RemoteTraceback>(origin) && origin.texts.size() == 2) {
    origin.texts[1] = std::move(task);
  }
}

MULTIPROCESSING_INLINE void add_place(ExceptionRecord& record, std::string const& place) {
  if (record.chain.empty()) return;
  auto& origin = record.chain.back();
  if (exception_detail::is<RemoteTraceback>(origin) && origin.texts.size() == 2) {
    origin.texts[0] += " of " + place;
  }
}

MULTIPROCESSING_INLINE std::string format(ExceptionRecord const& record) {
  std::string text;
  for (auto const& state : record.chain) {
    if (!exception_detail::is<RemoteTraceback>(state)) {
      text += (text.empty() ? "" : "caused by ") + state.type_name + ": ";
    }
    text += state.what + '\n';
  }
  return text;
}

MULTIPROCESSING_INLINE void throw_recorded(ExceptionRecord const& record) {
  if (record.chain.empty()) throw RemoteError("unknown exception", "nothing is known of it");
  exception_detail::throw_chain(record, 0);
}

}  // namespace multiprocessing::wire
