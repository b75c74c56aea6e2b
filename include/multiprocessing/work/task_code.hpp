// SPDX-License-Identifier: BSL-1.0
// A call as a task: typed at both ends, bytes in between.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/map.hpp>
#include <multiprocessing/work/stop_request.hpp>
#include <multiprocessing/work/task_context.hpp>

namespace multiprocessing::work {

/// Elements need not be what a vector that is decoded asks for, as to be made from nothing.
template <class T>
void write_many(wire::Bytes& bytes, wire::Parcel& parcel, std::vector<T> const& values) {
  if constexpr (wire::PlainBytes<T>) {
    wire::encode(bytes, values, parcel);
  } else {
    wire::encode(bytes, values.size(), parcel);
    for (auto const& value : values) wire::encode(bytes, value, parcel);
  }
}
template <class T>
std::vector<T> read_many(std::span<std::byte const>& bytes, wire::Parcel const& parcel,
                         os::ModuleTable const* modules = nullptr) {
  if constexpr (wire::PlainBytes<T>) {
    return wire::decode<std::vector<T>>(bytes, parcel, modules);
  } else {
    std::vector<T> values;
    for (auto left = wire::decode<std::size_t>(bytes, parcel); left != 0; --left) {
      values.push_back(wire::decode<T>(bytes, parcel, modules));
    }
    return values;
  }
}

namespace task_code_detail {

/// A plain function is told by its number.
template <class F>
concept ByNumber = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

/// `codes`: has number_of(function).
template <class F, class Numbers>
void write_callable(wire::Bytes& bytes, wire::Parcel& parcel, Numbers& codes, F const& f) {
  if constexpr (ByNumber<F>) {
    wire::encode(bytes, codes.number_of(f), parcel);
  } else {
    wire::encode(bytes, f, parcel);
  }
}

/// The parts of a message, one after the other.
class Parts {
 public:
  explicit Parts(TaskContext const& context)
      : context_(context), rest_(context.input()), parcel_(context.parcel()) {}

  template <class F>
  F callable() {
    if constexpr (ByNumber<F>) {
      auto const number = next<CodeNumber>();
      RunningTask::instance().calls(number);
      return context_.codes.template function<std::remove_pointer_t<F>>(number);
    } else {
      return next<F>();
    }
  }
  template <class T>
  T next() {
    return wire::decode<T>(rest_, parcel_, &context_.modules);
  }
  template <class T>
  std::vector<T> many() {
    return read_many<T>(rest_, parcel_, &context_.modules);
  }

 private:
  TaskContext const& context_;
  std::span<std::byte const> rest_;
  wire::Parcel parcel_;
};

/// Keeps what `write(bytes, parcel)` writes.
template <class Write>
void keep(TaskContext const& context, Write const& write) {
  channel::Scratch scratch;
  wire::Parcel parcel;
  write(scratch.bytes(), parcel);
  context.end_if_forked();
  context.keep(scratch.bytes(), parcel);
}

}  // namespace task_code_detail

/// `f(args...)`.
template <class F, class... Args>
struct CallCode {
  using Result = std::remove_cvref_t<std::invoke_result_t<F&, Args...>>;

  static std::string name() { return base::type_name(typeid(F)); }

  template <class Numbers>
  static void write(wire::Bytes& bytes, wire::Parcel& parcel, Numbers& codes, F const& f,
                    Args const&... args) {
    task_code_detail::write_callable(bytes, parcel, codes, f);
    (wire::encode(bytes, args, parcel), ...);
  }

  static void run(TaskContext const& context) {
    task_code_detail::Parts parts(context);
    F f = parts.template callable<F>();
    std::tuple<Args...> args{parts.template next<Args>()...};  // the braces keep the order
    if constexpr (std::is_void_v<Result>) {
      std::apply([&](auto&... each) { std::invoke(f, std::move(each)...); }, args);
      context.end_if_forked();
      context.keep({}, {});
    } else {
      decltype(auto) result = std::apply(
          [&](auto&... each) -> decltype(auto) { return std::invoke(f, std::move(each)...); },
          args);
      task_code_detail::keep(context, [&](wire::Bytes& bytes, wire::Parcel& parcel) {
        wire::encode<Result>(bytes, result, parcel);
      });
    }
  }
};

/// `f(item)` for each of some items; all results are the task's.
template <class F, class Item>
struct ItemsCode {
  using Result = map_detail::ResultOf<F, Item>;

  static std::string name() { return base::type_name(typeid(F)); }

  template <class Numbers>
  static void write(wire::Bytes& bytes, wire::Parcel& parcel, Numbers& codes, F const& f,
                    std::vector<Item> const& items) {
    task_code_detail::write_callable(bytes, parcel, codes, f);
    write_many(bytes, parcel, items);
  }

  static void run(TaskContext const& context) {
    task_code_detail::Parts parts(context);
    F f = parts.template callable<F>();
    auto items = parts.template many<Item>();
    if constexpr (std::is_void_v<Result>) {
      for (auto&& each : items) {
        Item item(std::move(each));
        map_detail::call(f, item);
        context.end_if_forked();
      }
      context.keep({}, {});
    } else {
      std::vector<Result> results;
      results.reserve(items.size());
      for (auto&& each : items) {
        Item item(std::move(each));
        results.push_back(map_detail::call(f, item));
      }
      task_code_detail::keep(context, [&](wire::Bytes& bytes, wire::Parcel& parcel) {
        write_many(bytes, parcel, results);
      });
    }
  }
};

}  // namespace multiprocessing::work
