// SPDX-License-Identifier: BSL-1.0
// A list of a fixed number of small values in a SharedMemory.
//
//   Header | Slot[size] | room of slot 0, twice | room of slot 1, twice | ...
//
//   Slot 2: word = {kind: text, side: 1, length: 5}, capacity 8
//                                   +----------+----------+
//                                   | "before" | "after"  |
//                                   +----------+----------+
//
// A change writes to the other side, then the word, by one store: so it has happened, or not.
//
//   Failure   who is killed in a change leaves the value that was there; the lock goes on.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <ostream>
#include <span>
#include <sstream>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/repr.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shareable_value.hpp>
#include <multiprocessing/shared_memory.hpp>

namespace multiprocessing {

/// Python: the keyword arguments of ShareableList.
struct ShareableListOptions {
  /// As SharedMemoryOptions::name.
  std::string name = {};
};

namespace shareable_list_detail {

/// Holds the list's mutex. Whoever can write to the memory of a list can hold up others; but nobody
/// waits for who is not there.
class Guard {
 public:
  /// Throws: Error when who has it does not exist; std::system_error.
  explicit Guard(os::RobustMutex& mutex);
  Guard(Guard const&) = delete;
  Guard& operator=(Guard const&) = delete;
  ~Guard() { mutex_.try_unlock(); }

 private:
  bool try_lock(base::Deadline deadline);

  os::RobustMutex& mutex_;
};

/// What a slot has now, in one word.
struct SlotWord {
  shareable_value_detail::Kind kind;
  bool side;
  std::uint64_t length;  ///< of the value, in bytes

  static constexpr unsigned kLengthBits = 56;

  std::uint64_t pack() const noexcept;
  static SlotWord unpack(std::uint64_t packed) noexcept;
};

struct Slot {
  std::atomic<std::uint64_t> word;
  std::uint64_t offset;    ///< of its room in the memory; constant, as the next
  std::uint64_t capacity;  ///< of one of the two sides, in bytes
};

/// The first bytes of a list: a file format.
struct Header {
  static constexpr std::uint64_t kMagic = 0x3174736c'65726873U;  // "shrelst1" in memory

  std::uint64_t magic;
  std::uint64_t size;  ///< slots
  os::RobustMutex mutex;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a hidden lock would be nobody's");
static_assert(sizeof(Header) % alignof(Slot) == 0, "slots follow the header");

}  // namespace shareable_list_detail

/// A handle; a copy is the same list, also in a process that is started with it, or receives it.
/// Each slot has room for what it was made with, and for 8 bytes at least: 64-bit integers,
/// doubles, bools and none fit all of them. Text and Bytes come back as they were put, also with
/// NULs at their end.
/// Threads, processes: all members safe. Blocks: for others that read or change a value just then.
/// Peer death: a change has happened, or not. Throws: every access, Error when somebody has damaged
/// the list.
/// Python: multiprocessing.shared_memory.ShareableList. Differs: safe; an int is not equal to the
/// double of the same value; no format().
class ShareableList {
 public:
  class Item;
  class Iterator;
  using value_type = ShareableValue;

  /// Makes one. Throws: as SharedMemory.
  ShareableList(std::initializer_list<ShareableValue> values, ShareableListOptions options = {})
      : ShareableList(std::span(values.begin(), values.size()), std::move(options)) {}
  /// The same, of a vector.
  explicit ShareableList(std::vector<ShareableValue> const& values,
                         ShareableListOptions options = {})
      : ShareableList(std::span(values), std::move(options)) {}

  /// Attaches to the one that has the name. Throws: as SharedMemory; Error when it is no list.
  explicit ShareableList(ShareableListOptions options)
      : ShareableList(SharedMemory(SharedMemoryOptions{.name = std::move(options.name)})) {}
  /// The one that lies in it. Throws: Error when there is none; std::logic_error when it is closed.
  explicit ShareableList(SharedMemory memory)
      : memory_(std::move(memory)), rooms_(rooms_in(memory_)) {}

  std::size_t size() const noexcept { return rooms_->size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The slot, to be read or assigned to. Throws: std::out_of_range.
  Item operator[](std::size_t index) const;
  Item at(std::size_t index) const;

  /// A copy. Throws: std::out_of_range.
  ShareableValue get(std::size_t index) const;
  /// Throws: std::out_of_range; std::invalid_argument when the slot has no room for so many bytes.
  void set(std::size_t index, ShareableValue const& value) const;

  /// All values as they are at one moment.
  std::vector<ShareableValue> copy() const;

  /// How many slots have the value.
  std::size_t count(ShareableValue const& value) const;
  /// The first that has it. Throws: std::invalid_argument when there is none.
  std::size_t index(ShareableValue const& value) const;

  /// The values, each as it is when the iterator comes by.
  Iterator begin() const noexcept;
  Iterator end() const noexcept;

  /// What it lies in: to unlink() it, say.
  SharedMemory const& shm() const noexcept { return memory_; }

  /// Whether both are the same list.
  friend bool operator==(ShareableList const& a, ShareableList const& b) noexcept {
    return a.memory_ == b.memory_;
  }

  friend std::ostream& operator<<(std::ostream& out, ShareableList const& list) {
    out << "ShareableList([";
    base::print_items(out, list.copy(),
                      [&](auto const& value) { shareable_value_detail::print(out, value); });
    return out << "], name=" << base::quote(list.memory_.name()) << ')';
  }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    memory_.save(encoder);
  }
  template <class Decoder>
  static ShareableList decode_from(Decoder& decoder) {
    return ShareableList(SharedMemory::decode_from(decoder));
  }

 private:
  using Header = shareable_list_detail::Header;
  using Slot = shareable_list_detail::Slot;
  using SlotWord = shareable_list_detail::SlotWord;

  // Of a slot's two sides; so numbers in them are aligned.
  static constexpr std::size_t kUnit = 8;

  static std::size_t capacity_for(ShareableValue const& value) noexcept;

  /// Where a slot's values lie: `capacity` bytes on each side. Constant, so it is read once: what
  /// others write to the memory later leads nowhere.
  struct Room {
    std::size_t offset;
    std::size_t capacity;
  };
  using Rooms = std::vector<Room>;

  ShareableList(std::span<ShareableValue const> values, ShareableListOptions options)
      : ShareableList(SharedMemory(
            {.name = std::move(options.name), .create = true, .size = size_for(values)},
            [&](std::span<std::byte> bytes) { fill(bytes, values); })) {}

  static std::size_t size_for(std::span<ShareableValue const> values) noexcept;

  static void fill(std::span<std::byte> bytes, std::span<ShareableValue const> values);

  /// Of what may have come from anywhere: they lie in it one behind the other.
  static std::shared_ptr<Rooms const> rooms_in(SharedMemory const& memory);

  Header& header() const noexcept { return *reinterpret_cast<Header*>(memory_.buf().data()); }
  Slot* slots() const noexcept;
  std::byte* place(Room room, bool side) const noexcept;

  /// REQUIRES: the mutex.
  ShareableValue read(std::size_t index) const;

  void require_slot(std::size_t index) const;

  SharedMemory memory_;
  std::shared_ptr<Rooms const> rooms_;
};

/// A slot, which takes what is assigned to it. As long as its list is there.
class ShareableList::Item {
 public:
  Item(Item const&) = default;
  /// Throws: as ShareableList::set().
  Item const& operator=(ShareableValue const& value) const {
    list_->set(index_, value);
    return *this;
  }
  Item const& operator=(Item const& other) const { return *this = other.value(); }

  /// A copy of what lies there.
  ShareableValue value() const { return list_->get(index_); }
  operator ShareableValue() const { return value(); }

  /// The value when it is a T; a T of another integral type than bool, when it is an int that fits.
  /// Throws: TypeError otherwise.
  template <class T>
  T get() const {
    auto const it = value();
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
      auto const* const number = std::get_if<std::int64_t>(&it);
      if (number != nullptr && std::in_range<T>(*number)) return static_cast<T>(*number);
    } else if (auto const* const held = std::get_if<T>(&it)) {
      return *held;
    }
    std::ostringstream text;
    shareable_value_detail::print(text, it);
    throw TypeError("ShareableList: " + text.str() + " at index " + std::to_string(index_) +
                    " is no " + base::type_name(typeid(T)));
  }

  friend bool operator==(Item const& a, ShareableValue const& b) { return a.value() == b; }
  friend bool operator==(Item const& a, Item const& b) { return a.value() == b.value(); }
  /// Two changes: others may see one value in both. Throws: as set(); when the second has no room,
  /// the first has happened.
  friend void swap(Item a, Item b) {
    auto const value = a.value();
    a = b.value();
    b = value;
  }
  friend std::ostream& operator<<(std::ostream& out, Item const& item) {
    shareable_value_detail::print(out, item.value());
    return out;
  }

 private:
  friend ShareableList;
  Item(ShareableList const& list, std::size_t index) : list_(&list), index_(index) {}

  ShareableList const* list_;
  std::size_t index_;
};

class ShareableList::Iterator {
 public:
  using value_type = ShareableValue;
  using difference_type = std::ptrdiff_t;

  Iterator() = default;
  ShareableValue operator*() const { return list_->get(index_); }
  Iterator& operator++() noexcept {
    ++index_;
    return *this;
  }
  Iterator operator++(int) noexcept { return {list_, index_++}; }
  friend bool operator==(Iterator const& a, Iterator const& b) noexcept {
    return a.index_ == b.index_;
  }

 private:
  friend ShareableList;
  Iterator(ShareableList const* list, std::size_t index) noexcept : list_(list), index_(index) {}

  ShareableList const* list_ = nullptr;
  std::size_t index_ = 0;
};

inline ShareableList::Item ShareableList::operator[](std::size_t index) const { return at(index); }
inline ShareableList::Iterator ShareableList::begin() const noexcept { return {this, 0}; }
inline ShareableList::Iterator ShareableList::end() const noexcept { return {this, size()}; }

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shareable_list.ipp>
#endif
