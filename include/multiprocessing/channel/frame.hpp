// SPDX-License-Identifier: BSL-1.0
// How messages lie in the memory of a lane.
//
//   chunk   = [ ChunkHead | frame | frame | .. | nothing yet (a header that is 0) ]
//   frame   = [ header | message, or BlockPlace | padding to 8 bytes ]
//   header  = size of the message << 8 | content << 3 | form
//
// A header is written last, in one store: so a message is there as a whole or not at all. Before it
// is written, the place of the next header is made 0.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::channel {

/// A message in a block of its own, with what keeps the block.
struct Enclosed {
  std::shared_ptr<shm::Lease const> lease;
  std::uint64_t offset = 0;
};

/// What a message is, for who receives it.
struct Content {
  bool is_bytes = false;        ///< of the user's; else an encoded value
  bool is_typed = false;        ///< begins with the hash of its type
  bool has_references = false;  ///< the block in which it is begins with a table of other blocks
};

enum class Form : std::uint8_t {
  Nothing,  ///< no message yet
  Inline,
  InBlock,  ///< in a block of its own: see BlockPlace
  Jump,     ///< no message: the next one is in the next chunk
};

/// The first word of a frame.
class Header {
 public:
  Header() = default;
  static constexpr Header of(Form form, Content content, std::uint64_t size) noexcept {
    auto const flags = (content.is_bytes ? 1U : 0U) | (content.is_typed ? 2U : 0U) |
                       (content.has_references ? 4U : 0U);
    return Header(size << 8 | flags << 3 | static_cast<std::uint64_t>(form));
  }
  static Header load(std::byte const* at) noexcept {
    // acquire: pairs with the release in store(), so that the message is there
    return Header(word(at).load(std::memory_order_acquire));
  }
  void store(std::byte* at) const noexcept { word(at).store(value_, std::memory_order_release); }

  Form form() const noexcept { return static_cast<Form>(value_ & 7); }
  Content content() const noexcept {
    return {(value_ & 8) != 0, (value_ & 16) != 0, (value_ & 32) != 0};
  }
  std::uint64_t size() const noexcept { return value_ >> 8; }

 private:
  explicit constexpr Header(std::uint64_t value) noexcept : value_(value) {}

  static std::atomic_ref<std::uint64_t> word(std::byte const* at) noexcept {
    return std::atomic_ref<std::uint64_t>(
        *reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(at)));
  }

  std::uint64_t value_ = 0;
};
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

/// Where a message is that has a block of its own.
struct BlockPlace {
  std::uint64_t block;   ///< Arena::id()
  std::uint64_t offset;  ///< of the message, in the block
  std::uint64_t weight;  ///< bytes that went through the lane in blocks before this one
};

/// Frames begin and end at multiples of this.
inline constexpr std::uint64_t kUnit = 8;
constexpr std::uint64_t units(std::uint64_t bytes) noexcept { return (bytes + kUnit - 1) / kUnit; }

/// What a chunk begins with. Written by the producer that makes it, before others see it.
struct ChunkHead {
  std::uint64_t first_count;      ///< how many messages went through the lane before
  std::uint64_t sequence;         ///< how many chunks did
  std::uint64_t size;             ///< of the frames, in units
  std::atomic<shm::Number> next;  ///< chunk
};
static_assert(sizeof(ChunkHead) <= base::kCacheLine);

/// How far one side has come: messages, and the place of the next one in its chunk. One word, so
/// that both change at once.
class Progress {
 public:
  static constexpr std::uint64_t kMostUnits = std::uint64_t{1} << 24;
  static constexpr std::uint64_t kCounts = std::uint64_t{1} << 40;

  constexpr Progress(std::uint64_t count, std::uint64_t unit) noexcept
      : word_(count << 24 | unit) {}
  explicit constexpr Progress(std::uint64_t word) noexcept : word_(word) {}

  /// Wraps around after 10^12 messages: only differences mean something.
  constexpr std::uint64_t count() const noexcept { return word_ >> 24; }
  constexpr std::uint64_t unit() const noexcept { return word_ & (kMostUnits - 1); }
  constexpr std::uint64_t word() const noexcept { return word_; }

  /// Behind a frame of so many units.
  constexpr Progress past(std::uint64_t frame) const noexcept {
    return {(count() + 1) & (kCounts - 1), unit() + frame};
  }

 private:
  std::uint64_t word_;
};

/// Messages between the one and the other; 0 when `get` has overtaken, as it may for an instant.
constexpr std::uint64_t messages_between(std::uint64_t got, std::uint64_t put) noexcept {
  auto const difference = (put - got) & (Progress::kCounts - 1);
  return difference < Progress::kCounts / 2 ? difference : 0;
}

}  // namespace multiprocessing::channel
