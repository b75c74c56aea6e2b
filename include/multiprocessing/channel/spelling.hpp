// SPDX-License-Identifier: BSL-1.0
// put and get in Python's spelling, which throws when it is too late, and in the standard
// library's, which returns: the same members for all that items are put into and got from.
#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/call.hpp>

namespace multiprocessing::channel {

namespace spelling_detail {}  // namespace spelling_detail

/// REQUIRES: Self has `bool put_by(char const* verb, T const&, Deadline) const`, which is false
/// when the deadline has passed, and `Call call(verb)`. All throw what Self says; PicklingError,
/// std::bad_alloc and what the type's own functions throw, before anything is put. An item is put
/// as a whole or not at all, whoever is killed.
template <class Self, class T>
class Puts {
 public:
  /// Blocks: until there is room.
  void put(T const& item) const {
    static_cast<void>(self().put_by("put", item, base::Deadline::never()));
  }
  /// Blocks: at most for `timeout`. Throws: Full.
  template <class Rep, class Period>
  void put(T const& item, std::chrono::duration<Rep, Period> timeout) const {
    if (!self().put_by("put", item, base::Deadline::after(timeout))) throw_full("put");
  }
  /// Throws: Full.
  void put_nowait(T const& item) const {
    if (!self().put_by("put_nowait", item, base::Deadline::now())) throw_full("put_nowait");
  }
  /// Whether there was room.
  [[nodiscard]] bool try_put(T const& item) const {
    return self().put_by("try_put", item, base::Deadline::now());
  }
  /// Whether there was room within `timeout`.
  template <class Rep, class Period>
  [[nodiscard]] bool put_for(T const& item, std::chrono::duration<Rep, Period> timeout) const {
    return self().put_by("put_for", item, base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool put_until(T const& item, std::chrono::time_point<Clock, Duration> when) const {
    return self().put_by("put_until", item, base::Deadline::at(when));
  }

 private:
  Self const& self() const noexcept { return static_cast<Self const&>(*this); }
  [[noreturn]] void throw_full(char const* verb) const {
    throw Full(self().call(verb).text() + ": there is no room for another item");
  }
};

/// REQUIRES: Self has `std::optional<T> get_by(char const* verb, Deadline) const`, which is nullopt
/// when the deadline has passed; `bool get_next(std::optional<T>&) const`, which is false when
/// there will be no more; and `Call call(verb)`. All throw what Self says; UnpicklingError and what
/// the type's own functions throw, then the item is gone. An item goes to one taker; one that is
/// killed takes no more than its own.
template <class Self, class T>
class Gets {
 public:
  /// Blocks: until an item is there.
  T get() const { return *self().get_by("get", base::Deadline::never()); }
  /// Blocks: at most for `timeout`. Throws: Empty.
  template <class Rep, class Period>
  T get(std::chrono::duration<Rep, Period> timeout) const {
    return or_empty("get", self().get_by("get", base::Deadline::after(timeout)));
  }
  /// Throws: Empty.
  T get_nowait() const {
    return or_empty("get_nowait", self().get_by("get_nowait", base::Deadline::now()));
  }
  /// nullopt: there was none.
  [[nodiscard]] std::optional<T> try_get() const {
    return self().get_by("try_get", base::Deadline::now());
  }
  /// nullopt: none came within `timeout`.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<T> get_for(std::chrono::duration<Rep, Period> timeout) const {
    return self().get_by("get_for", base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<T> get_until(std::chrono::time_point<Clock, Duration> when) const {
    return self().get_by("get_until", base::Deadline::at(when));
  }

  /// Gets an item a step, until there will be no more. Copies share their place.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    T& operator*() const noexcept { return *item_; }
    T* operator->() const noexcept { return &*item_; }
    Iterator& operator++() {
      if (!from_->get_next(item_)) from_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(Iterator const& it, std::default_sentinel_t) noexcept {
      return it.from_ == nullptr;
    }

   private:
    friend class Gets;
    explicit Iterator(Self const& from) : from_(&from) { ++*this; }

    Self const* from_ = nullptr;
    mutable std::optional<T> item_;
  };

  /// Blocks: for the first item.
  [[nodiscard]] Iterator begin() const { return Iterator(self()); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  Self const& self() const noexcept { return static_cast<Self const&>(*this); }
  T or_empty(char const* verb, std::optional<T> item) const {
    if (!item) throw Empty(self().call(verb).text() + ": there is no item");
    return std::move(*item);
  }
};

}  // namespace multiprocessing::channel
