// SPDX-License-Identifier: BSL-1.0
// What SharedVector, SharedMap and SharedString have in common: containers of Boost.Interprocess in
// shared memory that grows, each change of which happens as a whole or not at all.
//
//   SharedVector<T> ..  --Shared<State>-->  State   the lock, the container's own words
//                                             |-->  memory   its elements       } blocks of the
//                                             heap
//                                             `-->  log      what to put back   } that end with
//                                             State
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/interprocess/containers/string.hpp>
#include <multiprocessing/shm/change_allocator.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/transaction.hpp>
#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// What a container begins with.
struct SharedContainerOptions {
  /// What its elements may take, with what is between them; what was given back is used again for
  /// pieces of about its size only, until clear(). A change overwrites twice as much at most. Only
  /// addresses are reserved for it, and
  /// twice as many for changes; memory comes as it is used. nullopt: 256 MiB in a process without
  /// limits, less for each container the more there are.
  std::optional<std::size_t> max_bytes = {};
};

/// What may be in a shared container: a SharedState aligned to 16 bytes at most, or std::string.
template <class T>
concept SharedElement = std::same_as<T, std::string> ||
    (SharedState<T> && alignof(T) <= shm::ChangingMemory::kAlignment);

namespace shared_container_detail {

/// The one sentence for types that can not be elements.
template <class T>
constexpr void require_shared_element() {
  static_assert(SharedElement<T>,
                "multiprocessing: a value of this type can not be in a shared container, because "
                "it is neither a std::string nor trivially copyable, holds a pointer or a "
                "reference, or is aligned to more than 16 bytes; use std::string, arithmetic "
                "types, enumerations, std::array and plain structs of these, and indices instead "
                "of pointers");
}

using String =
    boost::interprocess::basic_string<char, std::char_traits<char>, shm::PieceAllocator<char>>;

/// How a T lies in shared memory.
template <class T>
using Stored = std::conditional_t<std::same_as<T, std::string>, String, T>;

inline std::string_view view(String const& text) noexcept { return {text.data(), text.size()}; }

template <class T>
Stored<T> store(T const& value) {
  if constexpr (std::same_as<T, std::string>) {
    return String(value.data(), value.size());
  } else {
    return value;
  }
}
template <class T>
T load(Stored<T> const& stored) {
  if constexpr (std::same_as<T, std::string>) {
    return std::string(view(stored));
  } else {
    return stored;
  }
}

using Change = sync::Transactional::Change;

// One is taken, one given back, and the first again if something throws.
inline constexpr std::uint64_t kPiecesOfAText = 3;

/// A value that others can read becomes another one.
template <class T>
void replace(Change& change, Stored<T>& stored, T const& value) {
  change.save(&stored, sizeof stored);
  change.make_room(kPiecesOfAText);
  if constexpr (std::same_as<T, std::string>) {
    auto fresh = store<T>(value);
    stored.swap(fresh);  // what it had is given back, and stays as it is until the change is over
  } else {
    stored = value;
  }
}

/// `Derived` is the class that users name; `Contents` a container of Boost, in shared memory.
template <class Derived, class Contents>
class Base {
 public:
  /// Calls `f(container)`, where it may call whatever it wants, as one change: others see all of it
  /// or nothing; it has not happened if f throws, or is killed. Returns what f does.
  /// Blocks: for the lock, which is held while f runs: who takes two containers takes them in the
  /// same order everywhere.
  template <std::invocable<Derived const&> F>
  auto with(F&& f) const {
    Derived const whole = static_cast<Derived const&>(*this);  // outlives what f does to the handle
    return change("with", [&](Change&, Contents&) {
      using Result = std::remove_cvref_t<std::invoke_result_t<F, Derived const&>>;
      if constexpr (std::is_same_v<Result, typename Derived::Item>) {
        return std::invoke(std::forward<F>(f), whole).value();
      } else {
        return std::invoke(std::forward<F>(f), whole);
      }
    });
  }

  /// Undoes the change that somebody was killed in: what is there is what was before. Whether there
  /// was one. Until then all other calls that read or write throw BrokenContainerError.
  /// Blocks: for the lock.
  bool recover() const { return state_->transactional.recover(); }

  /// Whether both are the same container.
  friend bool operator==(Base const& a, Base const& b) noexcept { return a.state_ == b.state_; }

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, state_, "a shared container");
  }
  template <class Decoder>
  static Derived decode_from(Decoder& decoder) {
    return Derived(wire::read_handle<State>(decoder));
  }

 protected:
  /// In shared memory.
  struct State {
    State(shm::Lease const& memory, shm::Lease const& log, std::uint64_t size)
        : transactional(memory, log, size) {
      new (room) Contents;
    }

    Contents& contents() noexcept { return *std::launder(reinterpret_cast<Contents*>(room)); }
    bool let_go() { return transactional.let_go(); }

    sync::Transactional transactional;
    alignas(Contents) std::byte room[sizeof(Contents)];  // never destroyed, as all that is here
  };

  explicit Base(SharedContainerOptions options) : state_(make(options)) {}
  explicit Base(shm::Shared<State> const& state) : state_(state) {}

  /// `f(Contents const&)` under the lock.
  template <class F>
  auto read(char const* verb, F const& f) const {
    sync::Transactional::Reading const reading(state_->transactional, {Derived::kName, verb});
    return f(std::as_const(state_->contents()));
  }

  /// `f(Change&, Contents&)` as one change. The container's own words are saved, no others.
  template <class F>
  auto change(char const* verb, F const& f) const {
    auto const state = state_;  // outlives what user code in f does to the handle
    Change change(state->transactional, {Derived::kName, verb});
    auto& contents = state->contents();
    change.save(&contents, sizeof contents);
    change.make_room(kPiecesOfACall);
    if constexpr (std::is_void_v<decltype(f(change, contents))>) {
      f(change, contents);
      change.commit();
    } else {
      auto result = f(change, contents);
      change.commit();
      return result;
    }
  }

  /// Empties it at once, however much it has.
  void change_to_nothing(char const* verb) const {
    change(verb, [](Change& change, Contents& contents) {
      if (!change.is_part()) {
        change.free_all_memory();
        new (&contents) Contents;
      } else {
        Derived::clear(change, contents);
      }
    });
  }

 private:
  static constexpr std::uint64_t kPiecesOfACall = 8;  // more than any call gives back besides many
  // So, however many there are, others find some: they get half as much each time that some 500
  // have taken theirs. Powers of two, so that what a container has left fits the next.
  static constexpr std::uint64_t kShares = 2048;
  static constexpr std::size_t kFewestBytes = std::size_t{64} << 10;
  // No process has so many addresses; sums and multiples of it are numbers still.
  static constexpr std::size_t kMostBytes = std::size_t{1} << 46;

  static shm::Shared<State> make(SharedContainerOptions options) {
    if (options.max_bytes && *options.max_bytes > kMostBytes) throw std::bad_alloc();
    return make(std::max(options.max_bytes ? *options.max_bytes : usual_bytes(), kFewestBytes));
  }
  static std::size_t usual_bytes() {
    return std::bit_floor(shm::Heap::instance().arena().unreserved() / kShares);
  }
  static shm::Shared<State> make(std::size_t size) {
    shm::Lease const memory(sync::Transactional::memory_for(size));
    shm::Lease const log(sync::Transactional::log_for(size));
    auto state = shm::Shared<State>::make(0, memory, log, size);
    auto& arena = shm::Heap::instance().arena();
    arena.give(memory.block(), state.id());
    arena.give(log.block(), state.id());
    return state;
  }

  shm::Shared<State> state_;
};

}  // namespace shared_container_detail

}  // namespace multiprocessing
