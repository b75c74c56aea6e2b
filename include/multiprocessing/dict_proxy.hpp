// SPDX-License-Identifier: BSL-1.0
// A dictionary in a manager's process.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/object_proxy.hpp>
#include <multiprocessing/serve/remote.hpp>
#include <multiprocessing/serve/snapshot.hpp>

namespace multiprocessing {

/// A handle of a std::map, which Manager::dict() makes; as ObjectProxy. Each member is one call,
/// and happens as a whole.
/// Python: what Manager().dict() returns. Differs: in the order of the keys; update(key, f).
template <class Key, class Value>
class DictProxy : public proxy_detail::Base<std::map<Key, Value>> {
  using Map = std::map<Key, Value>;

 public:
  /// What operator[] gives: the place of an item, to be assigned to, or read.
  using Item = proxy_detail::Item<DictProxy, Key, Value>;
  using key_type = Key;
  using value_type = typename Map::value_type;

  std::size_t size() const {
    return this->run("size", [](Map& map) { return map.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  bool contains(Key const& key) const {
    return this->run(
        "contains", [](Map& map, Key const& its) { return map.contains(its); }, key);
  }

  /// The item, to be read, assigned to, or changed.
  Item operator[](Key key) const { return {*this, std::move(key)}; }
  /// A copy of the value. Throws: std::out_of_range when there is no such key.
  Value at(Key const& key) const {
    return this->run(
        "at", [](Map& map, Key const& its) -> Value { return find(map, its)->second; }, key);
  }
  /// nullopt: there is no such key.
  std::optional<Value> get(Key const& key) const {
    return this->run(
        "get",
        [](Map& map, Key const& its) -> std::optional<Value> {
          auto const found = map.find(its);
          if (found == map.end()) return std::nullopt;
          return found->second;
        },
        key);
  }
  Value get(Key const& key, Value const& otherwise) const { return get(key).value_or(otherwise); }
  void set(Key const& key, Value const& value) const {
    this->run(
        "set",
        [](Map& map, Key its, Value new_value) {
          map.insert_or_assign(std::move(its), std::move(new_value));
        },
        key, value);
  }
  /// The value that is there; `value`, when it was not, and is now.
  Value setdefault(Key const& key, Value const& value = Value()) const {
    return this->run(
        "setdefault",
        [](Map& map, Key its, Value initial) -> Value {
          return map.try_emplace(std::move(its), std::move(initial)).first->second;
        },
        key, value);
  }

  /// Whether it was there.
  bool erase(Key const& key) const {
    return this->run(
        "erase", [](Map& map, Key const& its) { return map.erase(its) != 0; }, key);
  }
  /// Removes it, and returns the value. Throws: std::out_of_range when there is no such key.
  Value pop(Key const& key) const {
    return this->run(
        "pop",
        [](Map& map, Key const& its) -> Value {
          return std::move(map.extract(find(map, its)).mapped());
        },
        key);
  }
  Value pop(Key const& key, Value const& otherwise) const {
    return this->run(
        "pop",
        [](Map& map, Key const& its, Value missing) -> Value {
          auto node = map.extract(its);
          return node ? std::move(node.mapped()) : std::move(missing);
        },
        key, otherwise);
  }
  /// Removes the last, and returns it. Throws: std::out_of_range when there is none.
  std::pair<Key, Value> popitem() const {
    return this->run("popitem", [](Map& map) -> std::pair<Key, Value> {
      if (map.empty()) throw std::out_of_range("DictProxy.popitem: it is empty");
      auto node = map.extract(std::prev(map.end()));
      return {std::move(node.key()), std::move(node.mapped())};
    });
  }
  void clear() const {
    this->run("clear", [](Map& map) { map.clear(); });
  }

  /// Sets all of these.
  void update(Map const& others) const {
    this->run(
        "update",
        [](Map& map, Map its) {
          for (auto& [key, value] : its) map.insert_or_assign(key, std::move(value));
        },
        others);
  }
  /// f(value) of the key, which is made, as Value(), when it is not there: d.update("x", [](int& x)
  /// { ++x; }). Returns what f does. Throws: as with().
  template <class F>
  requires std::is_invocable_v<F const&, Value&>
  auto update(Key const& key, F f) const {
    return this->run_checked(
        "update", [](Map& map, Key its, F change) { return change(map[std::move(its)]); }, key, f);
  }

  /// Copies, by keys in order, as all was at one moment.
  std::vector<Key> keys() const {
    return this->run("keys", [](Map& map) {
      std::vector<Key> all;
      for (auto const& item : map) all.push_back(item.first);
      return all;
    });
  }
  std::vector<Value> values() const {
    return this->run("values", [](Map& map) {
      std::vector<Value> all;
      for (auto const& item : map) all.push_back(item.second);
      return all;
    });
  }
  std::vector<std::pair<Key, Value>> items() const {
    return this->run("items", [](Map& map) {
      return std::vector<std::pair<Key, Value>>(map.begin(), map.end());
    });
  }
  std::map<Key, Value> copy() const {
    return this->run("copy", [](Map& map) { return map; });
  }

  /// Over a copy that is made now.
  serve::SnapshotIterator<Map> begin() const { return serve::SnapshotIterator<Map>(copy()); }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// "{'a': 1, 'b': 2}"
  friend std::ostream& operator<<(std::ostream& out, DictProxy const& dict) {
    out << '{';
    base::print_items(out, dict.copy(), [&](auto const& item) {
      base::print_repr(out, item.first);
      out << ": ";
      base::print_repr(out, item.second);
    });
    return out << '}';
  }

  /// For the wire.
  template <class Decoder>
  static DictProxy decode_from(Decoder& decoder) {
    return DictProxy(serve::Remote<Map>::decode_from(decoder));
  }

 private:
  friend Manager;
  explicit DictProxy(serve::Remote<Map> remote)
      : proxy_detail::Base<Map>("DictProxy", std::move(remote)) {}

  static typename Map::iterator find(Map& map, Key const& key) {
    auto const found = map.find(key);
    if (found == map.end()) throw std::out_of_range("DictProxy: there is no such key");
    return found;
  }
};

}  // namespace multiprocessing
