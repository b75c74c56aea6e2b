// SPDX-License-Identifier: BSL-1.0
// A set in a manager's process.
#pragma once

#include <cstddef>
#include <iterator>
#include <ostream>
#include <set>
#include <stdexcept>
#include <utility>

#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/serve/snapshot.hpp>

namespace multiprocessing {

/// A handle of a std::set, which Manager::set() makes; as ObjectProxy. Each member is one call, and
/// happens as a whole.
/// Python: what Manager().set() returns. Differs: in order.
template <class T>
class SetProxy : public proxy_detail::Base<std::set<T>> {
  using Set = std::set<T>;

 public:
  using value_type = T;

  std::size_t size() const {
    return this->run("size", [](Set& set) { return set.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  bool contains(T const& value) const {
    return this->run(
        "contains", [](Set& set, T const& its) { return set.contains(its); }, value);
  }

  /// Whether it was not there.
  bool add(T const& value) const {
    return this->run(
        "add", [](Set& set, T its) { return set.insert(std::move(its)).second; }, value);
  }
  void update(std::set<T> const& values) const {
    this->run(
        "update", [](Set& set, Set its) { set.merge(its); }, values);
  }
  /// Whether it was there.
  bool discard(T const& value) const {
    return this->run(
        "discard", [](Set& set, T const& its) { return set.erase(its) != 0; }, value);
  }
  /// Throws: std::out_of_range when it is not there.
  void remove(T const& value) const {
    if (!discard(value)) throw std::out_of_range("SetProxy.remove: it is not there");
  }
  /// Removes the first, and returns it. Throws: std::out_of_range when there is none.
  T pop() const {
    return this->run("pop", [](Set& set) -> T {
      if (set.empty()) throw std::out_of_range("SetProxy.pop: it is empty");
      return std::move(set.extract(set.begin()).value());
    });
  }
  void clear() const {
    this->run("clear", [](Set& set) { set.clear(); });
  }
  std::set<T> copy() const {
    return this->run("copy", [](Set& set) { return set; });
  }

  /// Over a copy that is made now.
  serve::SnapshotIterator<Set> begin() const { return serve::SnapshotIterator<Set>(copy()); }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// "{1, 2, 3}"
  friend std::ostream& operator<<(std::ostream& out, SetProxy const& set) {
    out << '{';
    base::print_items(out, set.copy());
    return out << '}';
  }

  /// For the wire.
  template <class Decoder>
  static SetProxy decode_from(Decoder& decoder) {
    return SetProxy(serve::Remote<Set>::decode_from(decoder));
  }

 private:
  friend Manager;
  explicit SetProxy(serve::Remote<Set> remote)
      : proxy_detail::Base<Set>("SetProxy", std::move(remote)) {}
};

}  // namespace multiprocessing
