// SPDX-License-Identifier: BSL-1.0
// A vector that grows, in memory that processes and threads share.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <new>
#include <optional>
#include <ostream>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/interprocess/containers/vector.hpp>
#include <multiprocessing/base/item.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/serve/snapshot.hpp>
#include <multiprocessing/shared_container.hpp>

namespace multiprocessing {

namespace shared_container_detail {
template <class T>
using Vector = boost::interprocess::vector<Stored<T>, shm::PieceAllocator<Stored<T>>>;
}

/// A handle; a copy is the same vector, also in a process that is started with it, or receives it.
/// T's are SharedElements: values come and go as copies, nothing refers into shared memory.
/// Threads, processes: all members safe. Blocks: for others that read or change it just then.
/// Peer death: who is killed while it reads harms nobody. Who is killed in a change leaves a vector
/// that all calls refuse, with BrokenContainerError, until recover(), after which it is as it was
/// before that change.
/// Throws: every change, std::bad_alloc when there is no more memory, or max_bytes are used up;
/// then, as whenever one throws, nothing has changed.
/// Python: none; a manager's list is the ListProxy.
template <class T>
class SharedVector
    : public shared_container_detail::Base<SharedVector<T>, shared_container_detail::Vector<T>> {
  static_assert((shared_container_detail::require_shared_element<T>(), true));

  using Contents = shared_container_detail::Vector<T>;
  using Handle = shared_container_detail::Base<SharedVector, Contents>;
  using Change = shared_container_detail::Change;

 public:
  using Item = base::Item<SharedVector, std::size_t, T>;
  using value_type = T;

  /// Empty. Throws, here and below: std::bad_alloc, std::system_error.
  explicit SharedVector(SharedContainerOptions options = {}) : Handle(options) {}
  SharedVector(std::initializer_list<T> elements) : SharedVector() { extend(elements); }
  SharedVector(SharedContainerOptions options, std::initializer_list<T> elements)
      : SharedVector(options) {
    extend(elements);
  }
  /// Copies of the elements of `range`.
  template <std::ranges::input_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T> &&
      (!std::derived_from<std::remove_cvref_t<Range>, SharedVector>)explicit SharedVector(
          Range&& range)
      : SharedVector(SharedContainerOptions{}, std::forward<Range>(range)) {}
  template <std::ranges::input_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T> SharedVector(
      SharedContainerOptions options, Range&& range)
      : SharedVector(options) {
    extend(std::forward<Range>(range));
  }

  std::size_t size() const {
    return this->read("size", [](Contents const& vector) { return vector.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// How many elements fit without more memory.
  std::size_t capacity() const {
    return this->read("capacity", [](Contents const& vector) { return vector.capacity(); });
  }

  /// The element, to be read or assigned to.
  Item operator[](std::size_t index) const& { return {*this, index}; }
  T operator[](std::size_t index) const&& { return at(index); }
  /// A copy. Throws, here and below: std::out_of_range when there is no such element.
  T at(std::size_t index) const {
    return this->read("at", [&](Contents const& vector) {
      require(vector, "at", index);
      return shared_container_detail::load<T>(vector[index]);
    });
  }
  T front() const { return at(0); }
  T back() const {
    return this->read("back", [&](Contents const& vector) {
      require(vector, "back", 0);
      return shared_container_detail::load<T>(vector.back());
    });
  }
  void set(std::size_t index, T const& value) const {
    this->change("set", [&](Change& change, Contents& vector) {
      require(vector, "set", index);
      shared_container_detail::replace<T>(change, vector[index], value);
    });
  }
  /// `f(T&)` on a copy, which then becomes the element. Returns what f does.
  /// Blocks: for the lock, which is held while f runs.
  template <std::invocable<T&> F>
  auto update(std::size_t index, F&& f) const {
    static_assert(!std::is_reference_v<std::invoke_result_t<F, T&>>,
                  "multiprocessing: the function returns a reference to a copy that is gone");
    return this->change("update", [&](Change& change, Contents& vector) {
      require(vector, "update", index);
      auto copy = shared_container_detail::load<T>(vector[index]);
      auto const put_back = [&] {
        require(vector, "update", index);  // f may have removed it
        shared_container_detail::replace<T>(change, vector[index], copy);
      };
      if constexpr (std::is_void_v<std::invoke_result_t<F, T&>>) {
        std::invoke(std::forward<F>(f), copy);
        put_back();
      } else {
        auto result = std::invoke(std::forward<F>(f), copy);
        put_back();
        return result;
      }
    });
  }

  /// Complexity: amortized constant.
  void push_back(T const& value) const {
    this->change("push_back", [&](Change& change, Contents& vector) {
      make_room(change, vector, 1);
      vector.push_back(shared_container_detail::store<T>(value));
    });
  }
  /// Removes the last, and returns it. Throws: std::out_of_range when it is empty.
  T pop_back() const {
    return this->change("pop_back", [&](Change& change, Contents& vector) {
      require(vector, "pop_back", 0);
      return take_last(change, vector);
    });
  }
  /// The same; nullopt when it is empty.
  std::optional<T> try_pop_back() const {
    return this->change("try_pop_back", [&](Change& change, Contents& vector) -> std::optional<T> {
      if (vector.empty()) return std::nullopt;
      return take_last(change, vector);
    });
  }

  /// Before the element, or at the end. Throws: std::out_of_range beyond. Complexity: linear in
  /// what lies behind, here and in erase().
  void insert(std::size_t index, T const& value) const {
    this->change("insert", [&](Change& change, Contents& vector) {
      if (index > vector.size()) throw_out_of_range("insert", index, vector.size());
      make_room(change, vector, 1);
      save_from(change, vector, index);
      if constexpr (kOwns) {
        vector.push_back(shared_container_detail::store<T>(value));
        for (auto n = vector.size() - 1; n > index; --n) vector[n].swap(vector[n - 1]);
      } else {
        vector.insert(place(vector, index), value);
      }
    });
  }
  void erase(std::size_t index) const {
    this->change("erase", [&](Change& change, Contents& vector) {
      require(vector, "erase", index);
      remove(change, vector, index, index + 1);
    });
  }
  /// Those from `first` to before `last`. Throws: std::out_of_range.
  void erase(std::size_t first, std::size_t last) const {
    this->change("erase", [&](Change& change, Contents& vector) {
      if (last > vector.size()) throw_out_of_range("erase", last, vector.size());
      if (first > last) throw_out_of_range("erase", first, last);
      remove(change, vector, first, last);
    });
  }

  /// All elements of `range` at the end, or none. Its iterators run under the lock.
  template <std::ranges::input_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T>
  void extend(Range&& range) const {
    this->change("extend",
                 [&](Change& change, Contents& vector) { append(change, vector, range); });
  }
  void extend(std::initializer_list<T> elements) const {
    extend<std::initializer_list<T>&>(elements);
  }
  /// The elements of `range` are all that there are. As extend().
  template <std::ranges::input_range Range>
  requires std::convertible_to<std::ranges::range_reference_t<Range>, T>
  void assign(Range&& range) const {
    this->change("assign", [&](Change& change, Contents& vector) {
      std::vector<T> fresh;  // first: the range may be of these elements
      for (auto&& each : range) fresh.push_back(static_cast<T>(std::forward<decltype(each)>(each)));
      clear(change, vector);
      append(change, vector, fresh);
    });
  }
  void assign(std::initializer_list<T> elements) const {
    assign<std::initializer_list<T>&>(elements);
  }

  /// Memory for `size` elements.
  void reserve(std::size_t size) const {
    this->change("reserve", [&](Change& change, Contents& vector) {
      if (size > vector.size()) make_room(change, vector, size - vector.size());
    });
  }
  /// New ones are `value`.
  void resize(std::size_t size, T const& value = T()) const {
    this->change("resize", [&](Change& change, Contents& vector) {
      auto const before = vector.size();
      if (size <= before) {
        save_from(change, vector, size);
        drop_from(change, vector, size);
        return;
      }
      make_room(change, vector, size - before);
      for (auto n = before; n < size; ++n) {
        vector.push_back(shared_container_detail::store<T>(value));
      }
    });
  }
  /// Complexity: constant, but within with().
  void clear() const { this->change_to_nothing("clear"); }

  std::vector<T> copy() const {
    return this->read("copy", [](Contents const& vector) {
      if constexpr (std::same_as<T, std::string>) {
        std::vector<T> all;
        all.reserve(vector.size());
        for (auto const& element : vector) all.emplace_back(shared_container_detail::view(element));
        return all;
      } else {
        return std::vector<T>(vector.begin(), vector.end());
      }
    });
  }

  /// Over a copy that is made now.
  serve::SnapshotIterator<std::vector<T>> begin() const {
    return serve::SnapshotIterator<std::vector<T>>(copy());
  }
  std::default_sentinel_t end() const noexcept { return {}; }

  /// "[1, 2, 3]"
  friend std::ostream& operator<<(std::ostream& out, SharedVector const& vector) {
    out << '[';
    base::print_items(out, vector.copy());
    return out << ']';
  }

 private:
  friend Handle;
  static constexpr char const* kName = "SharedVector";
  // Texts change places by swap(): a move would also write to where their characters are.
  static constexpr bool kOwns = !std::is_trivially_copyable_v<typename Contents::value_type>;

  using Handle::Handle;

  [[noreturn]] static void throw_out_of_range(char const* verb, std::size_t index,
                                              std::size_t size) {
    throw std::out_of_range(std::string(kName) + '.' + verb + ": there is no index " +
                            std::to_string(index) + " in a vector of size " + std::to_string(size));
  }
  static void require(Contents const& vector, char const* verb, std::size_t index) {
    if (index >= vector.size()) throw_out_of_range(verb, index, vector.size());
  }

  static auto place(Contents& vector, std::size_t index) {
    return vector.begin() + static_cast<std::ptrdiff_t>(index);
  }
  /// The elements from `first` on are about to be overwritten, or to go: what comes next in their
  /// place, as a part of the same change, saves nothing.
  static void save_from(Change& change, Contents& vector, std::size_t first) {
    change.save(vector.data() + first, (vector.size() - first) * sizeof(*vector.data()));
  }

  /// For `count` more. What moves to a larger piece stays where it was, unless it owns memory.
  static void make_room(Change& change, Contents& vector, std::size_t count) {
    if (count <= vector.capacity() - vector.size()) return;
    if (count > PTRDIFF_MAX / sizeof(*vector.data()) - vector.size()) throw std::bad_alloc();
    auto const needed = vector.size() + count;
    if constexpr (kOwns) save_from(change, vector, 0);
    change.make_room(shared_container_detail::kPiecesOfAText);  // of the buffer that is given back
    try {
      vector.reserve(std::max(needed, vector.capacity() + vector.capacity() / 2));
    } catch (std::bad_alloc const&) {
      vector.reserve(needed);
    }
  }

  template <class Range>
  static void append(Change& change, Contents& vector, Range& range) {
    if constexpr (std::ranges::sized_range<Range>) {
      make_room(change, vector, static_cast<std::size_t>(std::ranges::size(range)));
    }
    for (auto&& element : range) {
      make_room(change, vector, 1);
      vector.push_back(shared_container_detail::store<T>(static_cast<T const&>(element)));
    }
  }

  static void drop_from(Change& change, Contents& vector, std::size_t first) {
    if constexpr (kOwns) {
      while (vector.size() > first) {
        change.make_room(1);
        vector.pop_back();
      }
    } else {
      vector.erase(place(vector, first), vector.end());
    }
  }
  static void remove(Change& change, Contents& vector, std::size_t first, std::size_t last) {
    save_from(change, vector, first);
    if constexpr (kOwns) {
      for (; last < vector.size(); ++first, ++last) vector[first].swap(vector[last]);
      drop_from(change, vector, first);
    } else {
      vector.erase(place(vector, first), place(vector, last));
    }
  }
  static T take_last(Change& change, Contents& vector) {
    save_from(change, vector, vector.size() - 1);
    auto value = shared_container_detail::load<T>(vector.back());
    vector.pop_back();
    return value;
  }

  static void clear(Change& change, Contents& vector) {
    save_from(change, vector, 0);
    drop_from(change, vector, 0);
  }
};

}  // namespace multiprocessing
