// SPDX-License-Identifier: BSL-1.0
// An offset_ptr that notes itself in the undo log of the current change before it is overwritten.
// Boost's trees keep all that they are in such pointers, the colours of their nodes in a bit of
// them; so a tree can be undone without knowing how it is balanced.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>

#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/pointer_plus_bits.hpp>
#include <multiprocessing/shm/current_change.hpp>

namespace multiprocessing::shm {

/// A pointer as Boost's containers want it, for what lies inside the heap.
template <class T>
class NotingPointer {
 public:
  using Offset = boost::interprocess::offset_ptr<T>;

  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using pointer = NotingPointer;
  using reference = std::add_lvalue_reference_t<T>;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::random_access_iterator_tag;
  template <class U>
  using rebind = NotingPointer<U>;

  NotingPointer() noexcept = default;
  NotingPointer(std::nullptr_t) noexcept {}
  NotingPointer(T* to) noexcept : offset_(to) {}
  NotingPointer(NotingPointer const& other) noexcept : offset_(other.offset_) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> NotingPointer(NotingPointer<U> const& other)
  noexcept : offset_(other.get()) {}

  [[gnu::always_inline]] NotingPointer& operator=(NotingPointer const& other) noexcept {
    note();
    offset_ = other.offset_;
    return *this;
  }
  [[gnu::always_inline]] NotingPointer& operator=(T* to) noexcept {
    note();
    offset_ = to;
    return *this;
  }

  T* get() const noexcept { return offset_.get(); }
  T* operator->() const noexcept { return get(); }
  reference operator*() const noexcept requires(!std::is_void_v<T>) { return *get(); }
  explicit operator bool() const noexcept { return !!offset_; }
  bool operator!() const noexcept { return !offset_; }

  template <class U>
  requires std::is_same_v<U, T>
  static NotingPointer pointer_to(U& to) noexcept { return NotingPointer(std::addressof(to)); }
  template <class U>
  static NotingPointer static_cast_from(NotingPointer<U> const& other) noexcept {
    return NotingPointer(static_cast<T*>(other.get()));
  }
  template <class U>
  static NotingPointer const_cast_from(NotingPointer<U> const& other) noexcept {
    return NotingPointer(const_cast<T*>(other.get()));
  }

  friend bool operator==(NotingPointer const& a, NotingPointer const& b) noexcept {
    return a.get() == b.get();
  }

  /// For pointer_plus_bits, which keeps bits in the offset.
  Offset const& offset() const noexcept { return offset_; }
  Offset& offset_to_change() noexcept {
    note();
    return offset_;
  }

 private:
  // Trees are searched with such pointers on the stack: to find that out must cost next to nothing.
  [[gnu::always_inline]] void note() const noexcept { CurrentChange::of_this_thread().note(this); }

  Offset offset_;
};
static_assert(sizeof(NotingPointer<int>) == 8, "the log notes 8 bytes");

}  // namespace multiprocessing::shm

/// Boost's way to say that a pointer has bits to spare.
template <std::size_t alignment>
struct boost::intrusive::max_pointer_plus_bits<multiprocessing::shm::NotingPointer<void>, alignment>
    : max_pointer_plus_bits<boost::interprocess::offset_ptr<void>, alignment> {};

template <class T, std::size_t bits>
struct boost::intrusive::pointer_plus_bits<multiprocessing::shm::NotingPointer<T>, bits> {
  using pointer = multiprocessing::shm::NotingPointer<T>;
  using OfOffset = pointer_plus_bits<typename pointer::Offset, bits>;

  // By reference: a copy of a null pointer with a bit would be another pointer.
  static pointer get_pointer(pointer const& from) noexcept {
    return pointer(OfOffset::get_pointer(from.offset()).get());
  }
  static void set_pointer(pointer& to, pointer const& from) noexcept {
    OfOffset::set_pointer(to.offset_to_change(), from.offset());
  }
  static std::size_t get_bits(pointer const& from) noexcept {
    return OfOffset::get_bits(from.offset());
  }
  static void set_bits(pointer& to, std::size_t value) noexcept {
    OfOffset::set_bits(to.offset_to_change(), value);
  }
};
