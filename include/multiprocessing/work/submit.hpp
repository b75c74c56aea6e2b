// SPDX-License-Identifier: BSL-1.0
// From a call with its arguments to tasks, and from those to its result.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/recycling_allocator.hpp>
#include <multiprocessing/channel/message.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/map.hpp>
#include <multiprocessing/work/task.hpp>
#include <multiprocessing/work/task_code.hpp>

namespace multiprocessing::work {

/// Submits what `Code::write(bytes, parcel, number_of, parts...)` writes, to be run by Code::run.
/// Throws: what that does; as Crew::submit().
template <class Code, class... Parts>
void submit(TaskGroup& group, TaskTerms const& options, Parts const&... parts) {
  auto& crew = group.crew();
  crew.require_owner(group.call());
  channel::Scratch scratch;
  wire::Parcel parcel;
  Code::write(scratch.bytes(), parcel, crew, parts...);
  crew.require_portable(group.call(), parcel);
  auto draft =
      TaskDraft::of(crew.number_of(&Code::run, &Code::name), scratch.bytes(), parcel, options);
  group.submit(draft);
}

/// A task that is written, and not submitted yet.
struct Prepared {
  wire::Bytes bytes;  // what is not in a block
  TaskDraft draft;
};
template <class Code, class... Parts>
Prepared prepare(Crew& crew, TaskTerms const& options, Parts const&... parts) {
  Prepared prepared;
  wire::Parcel parcel;
  Code::write(prepared.bytes, parcel, crew, parts...);
  auto& draft = prepared.draft;
  draft = TaskDraft::of(crew.number_of(&Code::run, &Code::name), prepared.bytes, parcel, options);
  if (draft.block.lease != nullptr) {
    draft.input = {draft.block.lease->data() + draft.block.offset, prepared.bytes.size()};
    prepared.bytes = {};
  }
  return prepared;
}

/// What a call returns, from its settled tasks. Throws: what went wrong.
template <class R>
using Collect = R(TaskGroup const& group);

template <class R>
R collect_one(TaskGroup const& group) {
  auto bytes = group.result(0);
  if constexpr (!std::is_void_v<R>) return wire::decode<R>(bytes, group.parcel(0));
}

/// Of one task with items.
template <class T>
std::vector<T> items_of(TaskGroup const& group, std::size_t i) {
  auto bytes = group.result(i);
  return read_many<T>(bytes, group.parcel(i));
}
template <class R>
R collect_items(TaskGroup const& group) {
  if constexpr (std::is_void_v<R>) {
    for (std::size_t i = 0; i < group.size(); ++i) static_cast<void>(group.result(i));
  } else {
    R all;
    for (std::size_t i = 0; i < group.size(); ++i) {
      for (auto&& each : items_of<typename R::value_type>(group, i)) {
        all.push_back(std::move(each));
      }
    }
    return all;
  }
}

namespace submit_detail {
template <class F, class Parts, std::size_t... i>
std::is_invocable<F&, std::tuple_element_t<i, Parts>...> applies(std::index_sequence<i...>);
template <class F, class Parts>
concept Applies = requires {
  requires decltype(applies<F, Parts>(std::make_index_sequence<std::tuple_size_v<Parts>>()))::value;
};
}  // namespace submit_detail

/// `f(parts of a tuple...)`.
struct Unpack {
  template <class F, class Parts>
  requires submit_detail::Applies<F, std::remove_cvref_t<Parts>>
  decltype(auto) operator()(F& f, Parts&& parts) const {
    return std::apply(f, std::forward<Parts>(parts));
  }
};

/// Whether a range that was handed over has its items for itself, so that they may be moved: it is
/// const with them. What only refers to them (a view, a pair of iterators) is not.
template <class Items>
inline constexpr bool kOwnsItems = false;
template <std::ranges::input_range Items>
requires(!std::is_lvalue_reference_v<Items> && !std::ranges::view<Items> &&
         !std::ranges::borrowed_range<Items> &&
         std::ranges::input_range<Items const>) inline constexpr bool kOwnsItems<Items> =
    !std::is_same_v<std::ranges::range_reference_t<Items>,
                    std::ranges::range_reference_t<Items const>>;

template <class R>
concept IsResult = std::is_void_v<R> || wire::Picklable<R>;

/// Does not compile unless `f(args...)` can be a task.
template <class F, class... Args>
constexpr void require_task() {
  wire::require_sendable<F>();
  (wire::require_picklable<Args>(), ...);
  static_assert(std::is_invocable_v<F&, Args...>,
                "multiprocessing: the function can not be called with these arguments");
  if constexpr (std::is_invocable_v<F&, Args...>) {
    using Result = typename CallCode<F, Args...>::Result;
    if constexpr (!std::is_void_v<Result>) wire::require_picklable<Result>();
  }
}
template <class F, class... Args>
concept Task = wire::Sendable<F> &&(wire::Picklable<Args>&&...) &&
               std::is_invocable_v<F&, Args...>&& IsResult<typename CallCode<F, Args...>::Result>;

/// Does not compile unless `f(item)` can be called in a worker.
template <class F, class Item>
constexpr void require_item_task() {
  wire::require_sendable<F>();
  wire::require_picklable<Item>();
  static_assert(map_detail::CallableWith<F, Item>,
                "multiprocessing: the function can not be called with an item of this range");
  if constexpr (map_detail::CallableWith<F, Item>) {
    using Result = map_detail::ResultOf<F, Item>;
    if constexpr (!std::is_void_v<Result>) wire::require_picklable<Result>();
  }
}
template <class F, class Item>
concept ItemTask = wire::Sendable<F> && wire::Picklable<Item> &&
    map_detail::CallableWith<F, Item> && IsResult<map_detail::ResultOf<F, Item>>;

/// What map() of all results is.
template <class F, class Item>
using AllResults = std::conditional_t<std::is_void_v<map_detail::ResultOf<F, Item>>, void,
                                      std::vector<map_detail::ResultOf<F, Item>>>;

/// Throws: std::invalid_argument for less than `least`.
inline std::int64_t at_least(char const* call, char const* what, std::int64_t value,
                             std::int64_t least) {
  if (value >= least) return value;
  throw std::invalid_argument(std::string(call) + ": " + what + " must be at least " +
                              std::to_string(least) + ", not " + std::to_string(value));
}

/// A duration that users give, rounded up; UINT32_MAX: practically for ever.
/// Throws: std::invalid_argument for less than `least`.
inline std::uint32_t milliseconds_of(char const* call, char const* what,
                                     std::chrono::nanoseconds duration, std::int64_t least) {
  auto const count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  at_least(call, what, count, least);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(count, UINT32_MAX));
}

/// What users say of retries and timeouts, with the members of ApplyOptions that do that.
/// Throws: std::invalid_argument.
template <class Options>
TaskTerms task_terms(char const* call, Options const& said) {
  constexpr int kMostRetries = 10'000;
  TaskTerms options;
  at_least(call, "retries", said.retries, 0);
  if (said.retries > kMostRetries) {
    throw std::invalid_argument(std::string(call) + ": retries must be at most " +
                                std::to_string(kMostRetries) + ", not " +
                                std::to_string(said.retries));
  }
  options.retries = static_cast<std::uint16_t>(said.retries);
  if (said.retries == 0 && (said.retry_on || said.backoff != said.backoff.zero())) {
    throw std::invalid_argument(std::string(call) + ": " +
                                (said.retry_on ? "retry_on" : "a backoff") + " needs retries");
  }
  options.retry_on = said.retry_on.value_or(RetryOn::crash);
  options.backoff_ms = milliseconds_of(call, "backoff, in milliseconds,", said.backoff, 0);
  options.grace_ms = milliseconds_of(call, "grace, in milliseconds,", said.grace, 0);
  if (!said.timeout) {
    if (options.grace_ms == 0) return options;
    throw std::invalid_argument(std::string(call) + ": a grace needs a timeout");
  }
  auto const timeout = milliseconds_of(call, "timeout, in milliseconds,", *said.timeout, 1);
  if (timeout != UINT32_MAX) options.timeout_ms = timeout;
  return options;
}

/// f(args...) as one task. REQUIRES: a Task. Throws: as submit().
template <class F, class... Args>
std::shared_ptr<TaskGroup> submit_call(std::shared_ptr<Crew> const& crew, char const* call,
                                       TaskTerms const& options, F const& f, Args const&... args) {
  auto group = std::allocate_shared<TaskGroup>(base::RecyclingAllocator<TaskGroup>(), crew, call);
  submit<CallCode<F, Args...>>(*group, options, f, args...);
  return group;
}

/// A task for each `chunk_size` of the items: all of them, or, when one can not be written, none.
template <class F, class Item>
void submit_items(TaskGroup& group, TaskTerms const& options, F const& f, std::vector<Item> items,
                  std::uint64_t chunk_size) {
  group.set_chunk_size(chunk_size);
  using Code = ItemsCode<F, Item>;
  std::vector<Prepared> all;
  for (std::size_t first = 0; first < items.size(); first += chunk_size) {
    auto const last = std::min<std::uint64_t>(first + chunk_size, items.size());
    std::vector<Item> chunk;
    chunk.reserve(last - first);
    for (auto i = first; i < last; ++i) chunk.push_back(std::move(items[i]));
    all.push_back(prepare<Code>(group.crew(), options, f, chunk));
  }
  for (auto& each : all) group.submit(each.draft);
}

}  // namespace multiprocessing::work
