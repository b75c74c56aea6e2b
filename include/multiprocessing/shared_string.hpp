// SPDX-License-Identifier: BSL-1.0
// A text that grows, in memory that processes and threads share.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <multiprocessing/base/item.hpp>
#include <multiprocessing/shared_container.hpp>

namespace multiprocessing {

/// A handle; a copy is the same text, also in a process that is started with it, or receives it.
/// Any bytes, also NULs. They come and go as copies, nothing refers into shared memory.
/// Threads, processes: all members safe. Blocks: for others that read or change it just then.
/// Peer death: who is killed while it reads harms nobody. Who is killed in a change leaves a text
/// that all calls refuse, with BrokenContainerError, until recover(), after which it is as it was
/// before that change.
/// Throws: every change, std::bad_alloc when there is no more memory, or max_bytes are used up;
/// then, as whenever one throws, nothing has changed.
/// Python: none. Assigning to a handle from another handle makes it the same text.
class SharedString
    : public shared_container_detail::Base<SharedString, shared_container_detail::String> {
  using Contents = shared_container_detail::String;
  using Handle = shared_container_detail::Base<SharedString, Contents>;
  using Change = shared_container_detail::Change;

 public:
  /// What operator[] gives: the place of a character, to be assigned to, or read.
  using Item = base::Item<SharedString, std::size_t, char>;
  using value_type = char;

  /// Empty. Throws, here and below: std::bad_alloc, std::system_error.
  explicit SharedString(SharedContainerOptions options = {}) : Handle(options) {}
  explicit SharedString(std::string_view text) : SharedString(SharedContainerOptions{}, text) {}
  SharedString(SharedContainerOptions options, std::string_view text) : SharedString(options) {
    assign(text);
  }

  /// A copy.
  std::string str() const {
    return read("str", [](Contents const& text) {
      return std::string(shared_container_detail::view(text));
    });
  }
  explicit operator std::string() const { return str(); }

  std::size_t size() const {
    return read("size", [](Contents const& text) { return text.size(); });
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

  /// The character, to be read or assigned to.
  Item operator[](std::size_t index) const& { return {*this, index}; }
  char operator[](std::size_t index) const&& { return at(index); }
  /// Throws, here and below: std::out_of_range when there is no such character.
  char at(std::size_t index) const {
    return read("at", [&](Contents const& text) {
      require(text, "at", index);
      return text[index];
    });
  }
  void set(std::size_t index, char character) const {
    change("set", [&](Change& change, Contents& text) {
      require(text, "set", index);
      change.save(text.data() + index, 1);
      text[index] = character;
    });
  }

  /// The text from now on.
  void assign(std::string_view other) const {
    change("assign", [&](Change& change, Contents& text) { put(change, text, other); });
  }
  SharedString const& operator=(std::string_view other) const {
    assign(other);
    return *this;
  }
  /// Puts it behind the last character.
  void append(std::string_view more) const {
    change("append", [&](Change& change, Contents& text) {
      begin_to_append(change, text, more.size());
      text.append(more.data(), more.size());
    });
  }
  SharedString const& operator+=(std::string_view more) const {
    append(more);
    return *this;
  }
  void push_back(char character) const { append({&character, 1}); }

  /// Before the character, or at the end. Throws: std::out_of_range beyond.
  void insert(std::size_t index, std::string_view more) const {
    change("insert", [&](Change& change, Contents& text) {
      if (index > text.size()) throw_out_of_range("insert", index, text.size());
      begin_to_append(change, text, more.size());
      save_from(change, text, index);
      text.insert(text.begin() + static_cast<std::ptrdiff_t>(index), more.begin(), more.end());
    });
  }
  /// `count` characters, or as many as there are. Throws: std::out_of_range.
  void erase(std::size_t index, std::size_t count = SIZE_MAX) const {
    change("erase", [&](Change& change, Contents& text) {
      if (index > text.size()) throw_out_of_range("erase", index, text.size());
      save_from(change, text, index);
      text.erase(index, count);
    });
  }
  /// New ones are `fill`.
  void resize(std::size_t size, char fill = '\0') const {
    change("resize", [&](Change& change, Contents& text) {
      if (size > text.size()) begin_to_append(change, text, size - text.size());
      save_from(change, text, std::min(size, text.size()));
      text.resize(size, fill);
    });
  }
  /// `f(std::string&)` on a copy, which then becomes the text. Returns what f does.
  /// Blocks: for the lock, which is held while f runs.
  template <std::invocable<std::string&> F>
  auto update(F&& f) const {
    static_assert(!std::is_reference_v<std::invoke_result_t<F, std::string&>>,
                  "multiprocessing: the function returns a reference to a copy that is gone");
    return change("update", [&](Change& change, Contents& text) {
      std::string copy(shared_container_detail::view(text));
      if constexpr (std::is_void_v<std::invoke_result_t<F, std::string&>>) {
        std::invoke(std::forward<F>(f), copy);
        put(change, text, copy);
      } else {
        auto result = std::invoke(std::forward<F>(f), copy);
        put(change, text, copy);
        return result;
      }
    });
  }
  void clear() const { change_to_nothing("clear"); }

  /// As std::string::compare(): below, at or above 0.
  int compare(std::string_view other) const {
    return read("compare", [&](Contents const& text) {
      return shared_container_detail::view(text).compare(other);
    });
  }
  friend bool operator==(SharedString const& text, std::string_view other) {
    return text.compare(other) == 0;
  }
  friend std::strong_ordering operator<=>(SharedString const& text, std::string_view other) {
    return text.compare(other) <=> 0;
  }

  /// The text.
  friend std::ostream& operator<<(std::ostream& out, SharedString const& text) {
    return out << text.str();
  }

 private:
  friend Handle;
  static constexpr char const* kName = "SharedString";

  using Handle::Handle;

  [[noreturn]] static void throw_out_of_range(char const* verb, std::size_t index,
                                              std::size_t size) {
    throw std::out_of_range(std::string(kName) + '.' + verb + ": there is no index " +
                            std::to_string(index) + " in a text of size " + std::to_string(size));
  }
  static void require(Contents const& text, char const* verb, std::size_t index) {
    if (index >= text.size()) throw_out_of_range(verb, index, text.size());
  }

  /// The characters from `first` on are about to be overwritten, with what ends them.
  static void save_from(Change& change, Contents& text, std::size_t first) {
    change.save(text.data() + first, text.size() - first + 1);
    change.make_room(shared_container_detail::kPiecesOfAText);
  }
  /// `count` more come to its end. What moves to a larger piece stays where it was.
  static void begin_to_append(Change& change, Contents& text, std::size_t count) {
    if (count > PTRDIFF_MAX / 2 - text.size()) throw std::bad_alloc();
    save_from(change, text, text.size());
  }
  static void put(Change& change, Contents& text, std::string_view other) {
    save_from(change, text, 0);
    text.clear();
    begin_to_append(change, text, other.size());
    text.append(other.data(), other.size());
  }
  static void clear(Change& change, Contents& text) {
    save_from(change, text, 0);
    text.clear();
  }
};

}  // namespace multiprocessing
