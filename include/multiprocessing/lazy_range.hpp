// SPDX-License-Identifier: BSL-1.0
// What imap() and the executor's map() return: results, one after the other.
#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/next_iterator.hpp>
#include <multiprocessing/work/in_place.hpp>
#include <multiprocessing/work/lazy_results.hpp>

namespace multiprocessing {

/// The results of a function for the items of a range: an input range of them, to be read once.
/// Items are taken from their range, and given to workers, only so far ahead of the results that
/// are read as the window says; so both may be without an end. Of a function that returns nothing,
/// each result is a std::monostate.
///
/// An item that fails throws when its result would be read (of a chunk, that is the failure of the
/// first item that failed, once); reading may go on after that. What the range throws is thrown
/// after the results of the items before. Dropped, it gives up what no worker has begun.
/// Threads: external synchronization. Processes: only the one that owns the pool.
/// Blocks, reading: until the next result is there. Peer death: as Pool::map().
/// Python: the iterator of multiprocessing.pool.Pool.imap
template <class F, std::ranges::input_range Items>
class [[nodiscard]] LazyRange {
  using Results = work::LazyResults<F, Items>;

 public:
  using value_type = typename Results::Value;

  /// REQUIRES: not called by users.
  explicit LazyRange(std::unique_ptr<Results> results) noexcept : results_(std::move(results)) {}

  /// nullopt: that was all. Throws: what the item's call has thrown.
  /// Python: StopIteration where this is nullopt.
  std::optional<value_type> next() { return results_->next(); }
  /// The same. Throws also: TimeoutError, and the next call waits for the same result.
  template <class Rep, class Period>
  std::optional<value_type> next(std::chrono::duration<Rep, Period> timeout) {
    return results_->next(base::Deadline::after(timeout));
  }

  using iterator = base::NextIterator<Results, value_type>;
  /// Takes the first result.
  iterator begin() { return iterator(*results_); }
  std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

  /// All that is left, in a std::vector.
  std::vector<value_type> collect() {
    std::vector<value_type> all;
    while (auto value = next()) all.push_back(std::move(*value));
    return all;
  }

 private:
  std::unique_ptr<Results> results_;
};

namespace lazy_range_detail {

/// REQUIRES: what work::LazyOptions says has been looked at.
template <class F, class Items>
auto make(std::shared_ptr<work::Crew> const& crew, char const* call,
          work::LazyOptions const& options, F const& f, Items&& items) {
  using Kept = work::KeptItems<Items>;
  using Item = std::ranges::range_value_t<Kept>;
  work::require_copies<F, Items>();
  work::require_item_task<F, Item>();
  if constexpr (work::ItemTask<F, Item>) {
    crew->require_open(call);
    return LazyRange<F, Kept>(std::make_unique<work::LazyResults<F, Kept>>(
        crew, call, options, f, std::forward<Items>(items)));
  }
}

}  // namespace lazy_range_detail

}  // namespace multiprocessing
