// SPDX-License-Identifier: BSL-1.0
// What a change has overwritten, so that it can be undone, by whoever comes after its death.
//
//   | old bytes | entry | old bytes | entry | ...      kept; read from `length_` backwards
//                 |
//                 '-- {distance to where they were, how many}
//
// Whoever changes something that others will read writes its old bytes here first. A change has
// happened once `writer_` is kNobody again: one store. Until then the entries, put back from the
// last to the first, give what was there before it began, however often somebody begins with that.
//
//   Failure   killed before the entry counts: nothing was overwritten yet.
//             killed later, or while it is undone: is_open(), and roll_back() puts all back.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <multiprocessing/shm/growing_block.hpp>

namespace multiprocessing::shm {

/// Lives inside the heap, as all that it has entries of. All members REQUIRE a lock that the user
/// holds.
class UndoLog {
 public:
  /// Where in the log a part of a change began.
  using Mark = std::uint64_t;

  UndoLog(Number block, std::uint64_t limit) : kept_(block, limit) {}
  UndoLog(UndoLog const&) = delete;
  UndoLog& operator=(UndoLog const&) = delete;

  /// Whether a change has begun, and has not happened yet.
  bool is_open() const noexcept { return writer() != kNobody; }
  /// Whose it is; 0 when that is not known.
  pid_t writer() const noexcept { return writer_.load(std::memory_order_relaxed); }

  // The stores below are relaxed, and fences of the compiler keep them in order: a death is
  // observed, not another processor. Between those who live the lock sees to it.

  /// A change begins. REQUIRES: !is_open().
  void open(pid_t writer) noexcept {
    length_.store(0, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    writer_.store(writer, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  /// It has happened, or was undone.
  void close() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    writer_.store(kNobody, std::memory_order_relaxed);
    if (kept_.size() > kKept) trim();
  }

  Mark mark() const noexcept { return length_.load(std::memory_order_relaxed); }

  /// The next entries of `bytes`, all together, need no memory. Throws: std::bad_alloc.
  void make_room(std::uint64_t bytes) { kept_.grow(mark() + bytes); }
  /// What an entry of `size` bytes takes.
  static constexpr std::uint64_t room_for(std::uint64_t size) noexcept {
    return round_up(size, kUnit) + sizeof(Entry);
  }

  /// To be called before these bytes are changed. Throws: std::bad_alloc, and they must not be.
  void save(void const* at, std::size_t size) {
    if (size == 0) return;
    make_room(room_for(size));
    append(at, size);
  }
  /// The same for 8 bytes. REQUIRES: make_room() was called for them: where there is no memory for
  /// it nevertheless, the program ends.
  [[gnu::noinline]] void note(void const* at) noexcept {
    make_room(room_for(kUnit));
    append(at, kUnit);
  }

  /// Puts back what was overwritten since.
  void roll_back(Mark mark) noexcept {
    auto at = this->mark();
    while (at > mark) {
      auto* const place = kept_.data() + at - sizeof(Entry);
      Entry entry;
      std::memcpy(&entry, place, sizeof entry);
      at -= room_for(entry.size);
      std::memcpy(place + entry.distance, kept_.data() + at, entry.size);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    length_.store(mark, std::memory_order_relaxed);
  }

 private:
  struct Entry {
    std::int64_t distance;  ///< from here to what was overwritten
    std::uint64_t size;
  };

  static constexpr pid_t kNobody = -1;
  static constexpr std::uint64_t kUnit = 8;
  // More is given back after a change: most need some hundred bytes.
  static constexpr std::uint64_t kKept = std::uint64_t{1} << 20;

  void append(void const* at, std::size_t size) noexcept {
    auto const length = mark();
    auto* const bytes = kept_.data() + length;
    auto* const place = bytes + round_up(size, kUnit);
    Entry const entry{static_cast<std::byte const*>(at) - place, size};
    std::memcpy(bytes, at, size);
    std::memcpy(place, &entry, sizeof entry);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    length_.store(length + room_for(size), std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  [[gnu::noinline]] void trim() noexcept {
    length_.store(0, std::memory_order_relaxed);
    try {
      kept_.shrink(kKept);
    } catch (std::bad_alloc const&) {  // memory is only given back
    }
  }

  std::atomic<pid_t> writer_{kNobody};
  std::atomic<std::uint64_t> length_{0};  // of what is in it, in bytes; means nothing when closed
  GrowingBlock kept_;
};

}  // namespace multiprocessing::shm
