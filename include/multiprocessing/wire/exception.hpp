// SPDX-License-Identifier: BSL-1.0
// Exceptions as values: caught in one process, thrown again in another. No user code runs on the
// way but what(), so nothing that the user wrote can stop an error from being told.
#pragma once

#include <any>
#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::wire {

/// What is known of an exception outside of the process that threw it.
struct ExceptionRecord {
  std::string type_name;
  std::string what;
  std::string category;   ///< of a std::system_error
  std::int32_t code = 0;  ///< of a std::system_error; the exit code of a ProcessDied
  std::int32_t pid = 0;   ///< of a ProcessDied

  template <class Archive>
  void serialize(Archive& archive) {
    archive(type_name, what, category, code, pid);
  }
};

namespace exception_detail {

template <class... Types>
struct List {};

// Rebuilt from their text.
using WithText =
    List<std::runtime_error, std::logic_error, std::invalid_argument, std::domain_error,
         std::length_error, std::out_of_range, std::range_error, std::overflow_error,
         std::underflow_error, Error, BrokenProcessPool, CancelledError>;
// Rebuilt from nothing.
using WithoutText = List<std::bad_alloc, std::bad_array_new_length, std::bad_cast, std::bad_typeid,
                         std::bad_exception, std::bad_function_call, std::bad_optional_access,
                         std::bad_variant_access, std::bad_any_cast, std::exception>;

template <class... Types>
void throw_if_named(ExceptionRecord const& record, List<Types...>, auto const& make) {
  auto const try_one = [&]<class E>(std::type_identity<E>) {
    if (record.type_name == base::type_name(typeid(E))) throw make(std::type_identity<E>{});
  };
  (try_one(std::type_identity<Types>{}), ...);
}

inline std::error_category const* category_named(std::string const& name) {
  for (auto const* category : {&std::generic_category(), &std::system_category()}) {
    if (name == category->name()) return category;
  }
  return nullptr;
}

}  // namespace exception_detail

/// REQUIRES: called while an exception is handled. Throws: std::bad_alloc.
inline ExceptionRecord record_current_exception() {
  ExceptionRecord record;
  record.type_name = base::current_exception_type_name();
  try {
    throw;
  } catch (std::system_error const& error) {
    record.what = base::text_of(error);
    record.category = error.code().category().name();
    record.code = error.code().value();
  } catch (ProcessDied const& error) {
    record.what = base::text_of(error);
    record.code = error.exitcode();
    record.pid = error.pid();
  } catch (RemoteError const& error) {  // already second-hand: keep the first type
    record.type_name = error.type_name();
    record.what = std::string(error.what()).substr(record.type_name.size() + 2);
  } catch (std::exception const& error) {
    record.what = base::text_of(error);
  } catch (...) {
    record.what = "thrown, but not a std::exception";
  }
  return record;
}

/// Throws the exception itself where its type is known here, RemoteError otherwise.
[[noreturn]] inline void throw_recorded(ExceptionRecord const& record) {
  using namespace exception_detail;
  throw_if_named(record, WithText{},
                 [&]<class E>(std::type_identity<E>) { return E(record.what); });
  throw_if_named(record, WithoutText{}, []<class E>(std::type_identity<E>) { return E(); });
  throw_if_named(record, List<ProcessDied, WorkerDied>{}, [&]<class E>(std::type_identity<E>) {
    return E(record.what, record.pid, record.code);
  });
  if (record.type_name == base::type_name(typeid(std::system_error))) {
    if (auto const* const category = category_named(record.category)) {
      std::error_code const code(record.code, *category);
      // what() repeats the code's message behind the text that the error was made with.
      auto text = record.what;
      auto const message = code.message();
      if (text == message) throw std::system_error(code);
      if (text.ends_with(": " + message)) text.resize(text.size() - message.size() - 2);
      throw std::system_error(code, text);
    }
  }
  throw RemoteError(record.type_name, record.what);
}

}  // namespace multiprocessing::wire
