// SPDX-License-Identifier: BSL-1.0
// A list in a manager's process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/serve/snapshot.hpp>

namespace multiprocessing {

/// A handle of a std::vector, which Manager::list() makes; as ObjectProxy. Each member is one call,
/// and happens as a whole. Indices below zero count from the end.
/// Python: what Manager().list() returns. Differs: update(index, f).
template <class T>
class ListProxy : public proxy_detail::Base<std::vector<T>> {
  static_assert(!std::is_same_v<T, bool>,
                "multiprocessing: a std::vector<bool> has no elements of its own to work on; use "
                "a list of char, or of an enumeration");
  using Vector = std::vector<T>;

 public:
  /// What operator[] gives: the place of an item, to be assigned to, or read.
  using Item = proxy_detail::Item<ListProxy, std::int64_t, T>;
  using value_type = T;

  std::size_t size() const {
    return this->run("size", [](Vector& vector) { return vector.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// The element, to be read or assigned to.
  Item operator[](std::int64_t index) const { return {*this, index}; }
  /// A copy. Throws, here and below: std::out_of_range when there is no such element.
  T at(std::int64_t index) const {
    return this->run(
        "at", [](Vector& vector, std::int64_t i) -> T { return vector[place("at", vector, i)]; },
        index);
  }
  void set(std::int64_t index, T const& value) const {
    this->run(
        "set",
        [](Vector& vector, std::int64_t i, T its) {
          vector[place("set", vector, i)] = std::move(its);
        },
        index, value);
  }
  /// f(element), in place. Returns what f does. Throws: as with().
  template <class F>
  requires std::is_invocable_v<F const&, T&>
  auto update(std::int64_t index, F f) const {
    return this->run_checked(
        "update",
        [](Vector& vector, std::int64_t i, F change) {
          return change(vector[place("update", vector, i)]);
        },
        index, f);
  }

  /// Puts it, or them, behind the last.
  void append(T const& value) const {
    this->run(
        "append", [](Vector& vector, T its) { vector.push_back(std::move(its)); }, value);
  }
  void extend(std::vector<T> const& values) const {
    this->run(
        "extend",
        [](Vector& vector, Vector its) {
          vector.insert(vector.end(), std::make_move_iterator(its.begin()),
                        std::make_move_iterator(its.end()));
        },
        values);
  }
  /// Before the element; where there is none, at the end that is nearer.
  void insert(std::int64_t index, T const& value) const {
    this->run(
        "insert",
        [](Vector& vector, std::int64_t i, T its) {
          vector.insert(vector.begin() + clamped(vector, i), std::move(its));
        },
        index, value);
  }

  /// Removes the last, and returns it.
  T pop() const { return pop(-1); }
  T pop(std::int64_t index) const {
    return this->run(
        "pop",
        [](Vector& vector, std::int64_t i) -> T {
          auto const its = vector.begin() + static_cast<std::ptrdiff_t>(place("pop", vector, i));
          T value = std::move(*its);
          vector.erase(its);
          return value;
        },
        index);
  }
  /// The first that is equal. Throws: std::invalid_argument when there is none.
  void remove(T const& value) const {
    this->run(
        "remove",
        [](Vector& vector, T const& its) {
          auto const found = std::find(vector.begin(), vector.end(), its);
          if (found == vector.end())
            throw std::invalid_argument("ListProxy.remove: it is not there");
          vector.erase(found);
        },
        value);
  }
  void clear() const {
    this->run("clear", [](Vector& vector) { vector.clear(); });
  }

  /// The first that is equal. Throws: std::invalid_argument when there is none.
  std::size_t index(T const& value) const {
    return this->run(
        "index",
        [](Vector& vector, T const& its) {
          auto const found = std::find(vector.begin(), vector.end(), its);
          if (found == vector.end())
            throw std::invalid_argument("ListProxy.index: it is not there");
          return static_cast<std::size_t>(found - vector.begin());
        },
        value);
  }
  std::size_t count(T const& value) const {
    return this->run(
        "count",
        [](Vector& vector, T const& its) {
          return static_cast<std::size_t>(std::count(vector.begin(), vector.end(), its));
        },
        value);
  }
  bool contains(T const& value) const { return count(value) != 0; }

  /// The last becomes the first.
  void reverse() const {
    this->run("reverse", [](Vector& vector) { std::reverse(vector.begin(), vector.end()); });
  }
  /// Equal elements stay in their order.
  void sort() const {
    this->run("sort", [](Vector& vector) { std::stable_sort(vector.begin(), vector.end()); });
  }

  /// All of it, as it was at one moment.
  std::vector<T> copy() const {
    return this->run("copy", [](Vector& vector) { return vector; });
  }
  /// Copies of those from `start` to before `stop`, as far as they are there.
  std::vector<T> slice(std::int64_t start, std::int64_t stop = INT64_MAX) const {
    return this->run(
        "slice",
        [](Vector& vector, std::int64_t first, std::int64_t last) {
          auto const from = clamped(vector, first);
          auto const to = std::max(from, clamped(vector, last));
          return Vector(vector.begin() + from, vector.begin() + to);
        },
        start, stop);
  }

  /// Over a copy that is made now.
  serve::SnapshotIterator<Vector> begin() const { return serve::SnapshotIterator<Vector>(copy()); }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// "[1, 2, 3]"
  friend std::ostream& operator<<(std::ostream& out, ListProxy const& list) {
    out << '[';
    base::print_items(out, list.copy());
    return out << ']';
  }

  /// For the wire.
  template <class Decoder>
  static ListProxy decode_from(Decoder& decoder) {
    return ListProxy(serve::Remote<Vector>::decode_from(decoder));
  }

 private:
  friend Manager;
  explicit ListProxy(serve::Remote<Vector> remote)
      : proxy_detail::Base<Vector>("ListProxy", std::move(remote)) {}

  static std::size_t place(char const* verb, Vector const& vector, std::int64_t index) {
    auto const size = static_cast<std::int64_t>(vector.size());
    auto const from_front = index < 0 ? index + size : index;
    if (from_front >= 0 && from_front < size) return static_cast<std::size_t>(from_front);
    throw std::out_of_range(std::string("ListProxy.") + verb + ": there is no index " +
                            std::to_string(index) + " in a list of size " + std::to_string(size));
  }
  static std::ptrdiff_t clamped(Vector const& vector, std::int64_t index) {
    auto const size = static_cast<std::int64_t>(vector.size());
    if (index < -size) return 0;
    return static_cast<std::ptrdiff_t>(std::min(index < 0 ? index + size : index, size));
  }
};

}  // namespace multiprocessing
