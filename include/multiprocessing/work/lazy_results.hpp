// SPDX-License-Identifier: BSL-1.0
// Results one after the other, of items that are taken from their range as results are taken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/work/any_of.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/map.hpp>
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/task.hpp>

namespace multiprocessing::work {

struct LazyOptions {
  enum class Order { of_items, of_ends };

  std::uint64_t chunk_size = 1;
  std::uint64_t window = 1;  ///< tasks whose results have not been asked for
  Order order = Order::of_items;
  base::Deadline deadline = base::Deadline::never();  ///< of all results
  TaskTerms submit = {};
};

/// How the items are kept until all have been read: what was handed over is owned, as views are.
template <class Items>
using KeptItems = std::conditional_t<std::ranges::view<std::remove_cvref_t<Items>>,
                                     std::remove_cvref_t<Items>, Items>;

/// f(item) for the items of a range: of KeptItems, so an lvalue reference is one.
/// What it promises is said where it is public: in lazy_range.hpp.
/// Threads: external synchronization.
template <class F, std::ranges::input_range Items>
class LazyResults {
 public:
  using Item = std::ranges::range_value_t<Items>;
  using Result = map_detail::ResultOf<F, Item>;
  /// Of a function that returns nothing, this is told for each item.
  using Value = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

  LazyResults(std::shared_ptr<Crew> crew, char const* call, LazyOptions const& options, F f,
              Items items)
      : crew_(std::move(crew)),
        call_(call),
        options_(options),
        f_(std::move(f)),
        items_(std::forward<Items>(items)),
        next_item_(std::ranges::begin(items_)) {
    options_.submit.tells_all = options.order == LazyOptions::Order::of_ends;
    fill();
  }
  LazyResults(LazyResults const&) = delete;
  LazyResults& operator=(LazyResults const&) = delete;
  ~LazyResults() {
    for (auto const& each : under_way_) {
      if (each.group != nullptr) each.group->cancel();
    }
  }

  /// nullopt: there are no more. Throws: TimeoutError; what an item's call has thrown, or the
  /// range.
  std::optional<Value> next() { return next(base::Deadline::never()); }
  std::optional<Value> next(base::Deadline deadline) {
    deadline = earlier(deadline, options_.deadline);
    while (values_.empty()) {
      fill();
      if (under_way_.empty()) return std::nullopt;
      auto const done = options_.order == LazyOptions::Order::of_items ? await_first(deadline)
                                                                       : await_any(deadline);
      auto const chunk = std::move(under_way_[done]);
      under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(done));
      take(chunk);
    }
    Value value = std::move(values_.front());
    values_.pop_front();
    fill();
    return value;
  }

 private:
  struct Chunk {
    std::shared_ptr<TaskGroup> group;  // or:
    std::exception_ptr error;          // why there are no items, or they could not be submitted
    std::uint64_t items = 0;

    bool settled() const { return group == nullptr || group->settled(); }
  };

  /// What can not be had from the range, or be submitted, is told at its place.
  void fill() noexcept {
    while (under_way_.size() < options_.window && !is_exhausted_) {
      Chunk chunk;
      std::vector<Item> items;
      try {
        read_items(items);
      } catch (...) {
        chunk.error = std::current_exception();
        is_exhausted_ = true;
      }
      if (!items.empty()) under_way_.push_back(submit_chunk(items));
      if (chunk.error != nullptr) under_way_.push_back(std::move(chunk));
    }
  }

  void read_items(std::vector<Item>& items) {
    // The range is asked for the next item only when there is room for it.
    while (items.size() < options_.chunk_size) {
      if (is_behind_item_) ++next_item_;
      is_behind_item_ = false;
      if (next_item_ == std::ranges::end(items_)) {
        is_exhausted_ = true;
        return;
      }
      if constexpr (kOwnsItems<Items>) {
        items.emplace_back(std::ranges::iter_move(next_item_));
      } else {
        items.emplace_back(*next_item_);
      }
      is_behind_item_ = true;
    }
  }

  Chunk submit_chunk(std::vector<Item> const& items) noexcept {
    Chunk chunk;
    chunk.items = items.size();
    try {
      auto group = std::make_shared<TaskGroup>(crew_, call_);
      group->set_first_item(submitted_);
      submitted_ += items.size();
      work::submit<ItemsCode<F, Item>>(*group, options_.submit, f_, items);
      chunk.group = std::move(group);
    } catch (...) {
      chunk.error = std::current_exception();
      if (!crew_->is_open()) is_exhausted_ = true;  // nor could anything else
    }
    return chunk;
  }

  /// Which chunk is settled.
  std::size_t await_first(base::Deadline deadline) {
    auto const& group = under_way_.front().group;
    if (group != nullptr && !group->wait_until(deadline)) throw_late();
    return 0;
  }
  std::size_t await_any(base::Deadline deadline) {
    auto found = under_way_.end();
    auto const is_found = [&] {
      found = std::find_if(under_way_.begin(), under_way_.end(),
                           [](Chunk const& chunk) { return chunk.settled(); });
      return found != under_way_.end();
    };
    auto* const crew = crew_.get();
    if (!await_news({&crew, 1}, is_found, deadline)) throw_late();
    return static_cast<std::size_t>(found - under_way_.begin());
  }
  [[noreturn]] void throw_late() const {
    throw TimeoutError(std::string(call_) + ": the next result is not there in time");
  }

  void take(Chunk const& chunk) {
    if (chunk.error != nullptr) std::rethrow_exception(chunk.error);
    if constexpr (std::is_void_v<Result>) {
      static_cast<void>(chunk.group->result(0));
      values_.resize(chunk.items);
    } else {
      for (auto&& each : items_of<Result>(*chunk.group, 0)) values_.push_back(std::move(each));
    }
  }

  std::shared_ptr<Crew> crew_;
  char const* call_;
  LazyOptions options_;
  F f_;
  Items items_;
  std::ranges::iterator_t<Items> next_item_;
  bool is_behind_item_ = false;
  bool is_exhausted_ = false;
  std::uint64_t submitted_ = 0;  // items
  std::deque<Chunk> under_way_;
  std::deque<Value> values_;
};

}  // namespace multiprocessing::work
