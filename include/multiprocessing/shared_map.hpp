// SPDX-License-Identifier: BSL-1.0
// A sorted map that grows, in memory that processes and threads share.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/interprocess/containers/map.hpp>
#include <multiprocessing/base/item.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/serve/snapshot.hpp>
#include <multiprocessing/shared_container.hpp>

namespace multiprocessing {

namespace shared_container_detail {

/// Keys as they lie in shared memory, and those that are looked for.
template <class Key>
struct Less {
  bool operator()(Stored<Key> const& a, Stored<Key> const& b) const { return std::less<>()(a, b); }
};
template <>
struct Less<std::string> {
  using is_transparent = void;
  bool operator()(String const& a, String const& b) const noexcept { return view(a) < view(b); }
  bool operator()(String const& a, std::string const& b) const noexcept { return view(a) < b; }
  bool operator()(std::string const& a, String const& b) const noexcept { return a < view(b); }
};

template <class Key, class Value>
using Map =
    boost::interprocess::map<Stored<Key>, Stored<Value>, Less<Key>,
                             shm::NodeAllocator<std::pair<Stored<Key> const, Stored<Value>>>>;

}  // namespace shared_container_detail

/// A handle; a copy is the same map, also in a process that is started with it, or receives it.
/// Keys and values are SharedElements, sorted by `<` of the keys: they come and go as copies,
/// nothing refers into shared memory.
/// Threads, processes: all members safe. Blocks: for others that read or change it just then.
/// Peer death: who is killed while it reads harms nobody. Who is killed in a change leaves a map
/// that all calls refuse, with BrokenContainerError, until recover(), after which it is as it was
/// before that change.
/// Throws: every change, std::bad_alloc when there is no more memory, or max_bytes are used up;
/// then, as whenever one throws, nothing has changed. Complexity: logarithmic, where nothing else
/// is said.
/// Python: none; a manager's dict is the DictProxy, whose calls these are.
template <class Key, class Value>
class SharedMap : public shared_container_detail::Base<SharedMap<Key, Value>,
                                                       shared_container_detail::Map<Key, Value>> {
  static_assert((shared_container_detail::require_shared_element<Key>(), true));
  static_assert((shared_container_detail::require_shared_element<Value>(), true));
  static_assert(
      requires(Key const& key) { key < key; },
      "multiprocessing: the keys of a SharedMap are sorted, and need an operator<");

  using Contents = shared_container_detail::Map<Key, Value>;
  using Handle = shared_container_detail::Base<SharedMap, Contents>;
  using Change = shared_container_detail::Change;

 public:
  /// What operator[] gives: the place of an item, to be assigned to, or read.
  using Item = base::Item<SharedMap, Key, Value>;
  using key_type = Key;
  using value_type = std::pair<Key const, Value>;

  /// Empty. Throws, here and below: std::bad_alloc, std::system_error.
  explicit SharedMap(SharedContainerOptions options = {}) : Handle(options) {}
  SharedMap(std::initializer_list<value_type> items) : SharedMap(std::map<Key, Value>(items)) {}
  explicit SharedMap(std::map<Key, Value> const& items)
      : SharedMap(SharedContainerOptions{}, items) {}
  SharedMap(SharedContainerOptions options, std::map<Key, Value> const& items)
      : SharedMap(options) {
    update(items);
  }

  std::size_t size() const {
    return this->read("size", [](Contents const& map) { return map.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  bool contains(Key const& key) const {
    return this->read("contains", [&](Contents const& map) { return map.find(key) != map.end(); });
  }

  /// The item, to be read or assigned to.
  Item operator[](Key key) const& { return {*this, std::move(key)}; }
  Value operator[](Key const& key) const&& { return at(key); }
  /// A copy of the value. Throws: std::out_of_range when there is no such key.
  Value at(Key const& key) const {
    return this->read("at", [&](Contents const& map) { return value_of(found(map, key, "at")); });
  }
  /// nullopt: there is no such key.
  std::optional<Value> get(Key const& key) const {
    return this->read("get", [&](Contents const& map) -> std::optional<Value> {
      auto const it = map.find(key);
      if (it == map.end()) return std::nullopt;
      return value_of(it);
    });
  }
  Value get(Key const& key, Value const& otherwise) const { return get(key).value_or(otherwise); }

  /// Its value from now on, whether the key is new or not.
  void set(Key const& key, Value const& value) const { insert_or_assign(key, value); }
  /// The same; whether the key is new.
  bool insert_or_assign(Key const& key, Value const& value) const {
    return this->change(
        "set", [&](Change& change, Contents& map) { return put(change, map, key, value); });
  }
  /// The value that is there; `value`, when it was not, and is now.
  Value setdefault(Key const& key, Value const& value = Value()) const {
    return this->change("setdefault", [&](Change& change, Contents& map) {
      auto const it = map.find(key);
      if (it != map.end()) return value_of(it);
      put(change, map, key, value);
      return value;
    });
  }

  /// Whether it was there.
  bool erase(Key const& key) const {
    return this->change("erase", [&](Change& change, Contents& map) {
      auto const it = map.find(key);
      if (it == map.end()) return false;
      remove(change, map, it);
      return true;
    });
  }
  /// Removes it, and returns the value. Throws: std::out_of_range when there is no such key.
  Value pop(Key const& key) const {
    return this->change("pop", [&](Change& change, Contents& map) {
      auto const it = found(map, key, "pop");
      auto value = value_of(it);
      remove(change, map, it);
      return value;
    });
  }
  Value pop(Key const& key, Value const& otherwise) const {
    return this->change("pop", [&](Change& change, Contents& map) {
      auto const it = map.find(key);
      if (it == map.end()) return otherwise;
      auto value = value_of(it);
      remove(change, map, it);
      return value;
    });
  }
  /// Removes the last, and returns it. Throws: std::out_of_range when there is none.
  std::pair<Key, Value> popitem() const {
    return this->change("popitem", [&](Change& change, Contents& map) {
      if (map.empty()) throw std::out_of_range("SharedMap.popitem: it is empty");
      auto const last = std::prev(map.end());
      auto item = item_of(*last);
      remove(change, map, last);
      return item;
    });
  }
  /// Complexity: constant, but within with().
  void clear() const { this->change_to_nothing("clear"); }

  /// Sets all of these, or none.
  void update(std::map<Key, Value> const& others) const {
    this->change("update", [&](Change& change, Contents& map) {
      for (auto const& [key, value] : others) put(change, map, key, value);
    });
  }
  /// `f(Value&)` on a copy of the key's value, or on Value() where it is not there; it becomes the
  /// value: m.update("x", [](int& x) { ++x; }). Returns what f does.
  /// Blocks: for the lock, which is held while f runs.
  template <std::invocable<Value&> F>
  auto update(Key const& key, F&& f) const {
    static_assert(!std::is_reference_v<std::invoke_result_t<F, Value&>>,
                  "multiprocessing: the function returns a reference to a copy that is gone");
    return this->change("update", [&](Change& change, Contents& map) {
      auto const it = map.find(key);
      auto copy = it == map.end() ? Value() : value_of(it);
      if constexpr (std::is_void_v<std::invoke_result_t<F, Value&>>) {
        std::invoke(std::forward<F>(f), copy);
        put(change, map, key, copy);
      } else {
        auto result = std::invoke(std::forward<F>(f), copy);
        put(change, map, key, copy);
        return result;
      }
    });
  }

  /// Copies, by keys in order, as all was at one moment.
  std::vector<Key> keys() const {
    return this->read("keys", [](Contents const& map) {
      std::vector<Key> all;
      all.reserve(map.size());
      for (auto const& item : map) all.push_back(shared_container_detail::load<Key>(item.first));
      return all;
    });
  }
  std::vector<Value> values() const {
    return this->read("values", [](Contents const& map) {
      std::vector<Value> all;
      all.reserve(map.size());
      for (auto const& item : map) {
        all.push_back(shared_container_detail::load<Value>(item.second));
      }
      return all;
    });
  }
  std::vector<std::pair<Key, Value>> items() const {
    return this->read("items", [](Contents const& map) {
      std::vector<std::pair<Key, Value>> all;
      all.reserve(map.size());
      for (auto const& item : map) all.push_back(item_of(item));
      return all;
    });
  }
  std::map<Key, Value> copy() const {
    return this->read("copy", [](Contents const& map) {
      std::map<Key, Value> all;
      for (auto const& item : map) all.insert(all.end(), item_of(item));
      return all;
    });
  }

  /// Over a copy that is made now.
  serve::SnapshotIterator<std::map<Key, Value>> begin() const {
    return serve::SnapshotIterator<std::map<Key, Value>>(copy());
  }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// "{'a': 1, 'b': 2}"
  friend std::ostream& operator<<(std::ostream& out, SharedMap const& map) {
    out << '{';
    base::print_items(out, map.items(), [&](auto const& item) {
      base::print_repr(out, item.first);
      out << ": ";
      base::print_repr(out, item.second);
    });
    return out << '}';
  }

 private:
  friend Handle;
  static constexpr char const* kName = "SharedMap";

  using Handle::Handle;

  // The log's room must be there before Boost begins: in the middle nothing may throw. A node that
  // comes or goes changes some pointers of each level at most, and there are not more of these.
  static constexpr std::uint64_t kPiecesOfANode = 3;  // with the texts of key and value
  static constexpr std::uint64_t kWordsOfANode = 128 * 6;

  static Value value_of(auto const& place) {
    return shared_container_detail::load<Value>(place->second);
  }
  static std::pair<Key, Value> item_of(auto const& stored) {
    return {shared_container_detail::load<Key>(stored.first),
            shared_container_detail::load<Value>(stored.second)};
  }

  static auto found(auto& map, Key const& key, char const* verb) {
    auto const it = map.find(key);
    if (it != map.end()) return it;
    throw std::out_of_range(std::string(kName) + '.' + verb + ": there is no such key");
  }

  /// Whether the key is new.
  static bool put(Change& change, Contents& map, Key const& key, Value const& value) {
    auto const place = map.lower_bound(key);
    if (place != map.end() && !shared_container_detail::Less<Key>()(key, place->first)) {
      shared_container_detail::replace<Value>(change, place->second, value);
      return false;
    }
    change.make_room(kPiecesOfANode, kWordsOfANode);
    map.emplace_hint(place, shared_container_detail::store<Key>(key),
                     shared_container_detail::store<Value>(value));
    return true;
  }
  static void remove(Change& change, Contents& map, auto const& place) {
    change.make_room(kPiecesOfANode, kWordsOfANode);
    map.erase(place);
  }
  static void clear(Change& change, Contents& map) {
    while (!map.empty()) remove(change, map, std::prev(map.end()));
  }
};

}  // namespace multiprocessing
