// SPDX-License-Identifier: BSL-1.0
// The blocks of an arena: which exist, which of them are free, and what memory these still have.
//
//   small  up to 32 KiB; they share pages, which they keep
//   large  with pages of their own; a free one is warm (has them still) or cold
//
// What is true stands in Block::state and Block::committed. Lists, frontiers and sums follow from
// these: rebuild().
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/shm/size_class.hpp>

namespace multiprocessing::shm {

/// What is in a block when its user gets it.
enum class Content { Zeros, Any };

/// An entry of the table. Those that are not atomic: guarded by the arena, or constant once made.
struct alignas(base::kCacheLine) Block {
  enum class State : std::uint32_t { Free, Used };
  /// Of `committed`: somebody is changing it, or was killed when he did.
  static constexpr std::uint64_t kUncertain = UINT64_MAX;

  Offset offset = 0;
  std::uint32_t size_class = 0;
  std::atomic<State> state{State::Free};
  std::atomic<std::uint32_t> uses{0};        ///< how often it was allocated; 0 is left out
  std::atomic<std::uint32_t> references{0};  ///< from messages; follows from the envelopes
  std::atomic<std::uint64_t> owner{0};       ///< an id; the block lives as long as that one
  std::atomic<std::uint64_t> committed{0};   ///< bytes in front that have pages; of a large one
  std::atomic<bool> owns{false};             ///< perhaps: other blocks
  std::atomic<bool> is_envelope{false};      ///< refers to other blocks, in its first bytes
  std::atomic<bool> is_vaulted{false};       ///< a descriptor belongs to it
  Number next = 0;                           ///< in the list that it is in
  std::uint32_t recount = 0;                 ///< references, while they are counted anew
};
static_assert(sizeof(Block) == base::kCacheLine);

/// Threads and processes: all that is not said to be safe REQUIRES the arena's guard.
class Blocks {
 public:
  /// In shared memory, beside the guard. Follows from the blocks, but for `count`.
  struct Header {
    Header() {
      cold.fill(ArenaLayout::kNobody);
      warm.fill(ArenaLayout::kNobody);
    }

    std::atomic<Number> count{0};  // blocks that exist, used or free
    Offset small_frontier{0};      // where the next new block begins
    Offset large_frontier{0};
    Offset small_committed{0};                   // below this all has pages
    std::uint64_t warm_bytes{0};                 // in free blocks
    std::array<Number, SizeClass::kCount> cold;  // heads of lists; all small ones are in these
    std::array<Number, SizeClass::kCount> warm;
  };

  /// Free blocks keep this much memory among them. So messages of up to 64 MiB, with one that is
  /// written, one on its way and one that is read, need no new pages; and what a family of
  /// processes has for nothing stays a hundredth or so of its machine.
  static constexpr std::uint64_t kWarmest = std::uint64_t{208} << 20;

  static constexpr std::uint64_t kLargestSmall = std::uint64_t{32} << 10;

  /// Blocks lie from kEnd on. `header` was made in the segment: for a new one, see begin().
  Blocks(Segment const& segment, Header& header)
      : segment_(segment),
        header_(header),
        large_begin_(round_up(kSmallBegin + (segment.size() - kSmallBegin) / 8, kPage)) {}
  Blocks(Blocks const&) = delete;
  Blocks& operator=(Blocks const&) = delete;

  /// There is no block yet. For the segment's maker.
  void begin() noexcept {
    header_.small_frontier = kSmallBegin;
    header_.small_committed = kSmallBegin;
    header_.large_frontier = large_begin_;
  }

  /// Addresses that no large block has taken yet.
  std::uint64_t untaken() const noexcept { return segment_.size() - header_.large_frontier; }

  /// How many exist; safe, as what follows.
  Number count() const noexcept { return header_.count.load(); }
  Block& operator[](Number block) const noexcept { return table()[block]; }
  std::byte* data(Number block) const noexcept { return segment_.data(table()[block].offset); }
  std::uint64_t size(Number block) const noexcept { return size_of(table()[block]).size(); }

  std::uint64_t id(Number block) const noexcept {
    return std::uint64_t{table()[block].uses.load()} << 32 | block;
  }
  bool exists(std::uint64_t id) const noexcept {
    auto const block = static_cast<Number>(id);
    // In this order: once it is used for something else, its number of uses is another one.
    return block < count() && is_used(block) && this->id(block) == id;
  }
  bool is_used(Number block) const noexcept {
    // acquire: pairs with the release in take(), so what names the block is that use's
    return table()[block].state.load(std::memory_order_acquire) == Block::State::Used;
  }

  /// A free one, out of its list when `found(block)` returns and before it is Used. A larger one
  /// where there is no room for a new one.
  /// Throws: std::bad_alloc, what `found` does: then nothing has happened.
  template <class Found>
  Number take(SizeClass size_class, Found const& found) {
    auto* list = free_of(size_class);
    if (list == nullptr) {
      try {
        push(make(size_class));
        list = &header_.cold[size_class.index()];
      } catch (std::bad_alloc const&) {
        list = free_of_larger_than(size_class);
        if (list == nullptr) throw;
      }
    }
    Number const number = *list;
    found(number);
    auto& block = table()[number];
    *list = block.next;
    if (list == &header_.warm[block.size_class]) header_.warm_bytes -= block.committed;
    // relaxed: the release below pairs with the acquire in is_used()
    constexpr auto relaxed = std::memory_order_relaxed;
    block.owner.store(0, relaxed);
    block.references.store(0, relaxed);
    block.owns.store(false, relaxed);
    block.is_envelope.store(false, relaxed);
    block.is_vaulted.store(false, relaxed);
    auto const uses = block.uses.load(relaxed) + 1;
    block.uses.store(uses == 0 ? 1 : uses, relaxed);
    block.state.store(Block::State::Used, std::memory_order_release);
    return number;
  }

  /// Gives the block that was taken the pages and the content that it must have. Without the guard:
  /// gigabytes take their time. Throws: std::bad_alloc.
  void prepare(Number number, std::uint64_t size, Content content) {
    auto& block = table()[number];
    if (is_small(size_of(block))) {
      bool const is_new = block.uses == 1;
      if (content == Content::Zeros && !is_new) std::memset(data(number), 0, this->size(number));
      return;
    }
    auto const needed = round_up(size, kSmallPage);
    auto const had = block.committed.load();
    if (had < needed) {
      block.committed = Block::kUncertain;
      segment_.commit({block.offset + had, needed - had});
      block.committed = needed;
    }
    // The kernel does the same for new pages, but takes several times as long.
    if (content == Content::Zeros) std::memset(data(number), 0, std::min(had, size));
  }

  /// Gives a large one that was taken as many bytes of memory as it needs for `size`, in front, and
  /// takes what is more. What is there stays. Without the guard; one at a time for a block. Throws:
  /// std::bad_alloc.
  void resize(Number number, std::uint64_t size) {
    auto& block = table()[number];
    auto const had = block.committed.load();
    auto const needed = round_up(size, kSmallPage);
    block.committed = Block::kUncertain;
    if (had > needed) {  // also when it is uncertain
      segment_.discard({block.offset + needed, extent(size_of(block)) - needed});
    }
    auto const certain = had == Block::kUncertain ? 0 : had;
    if (certain < needed) segment_.commit({block.offset + certain, needed - certain});
    block.committed = needed;
  }

  /// Puts one that has become Free into its list.
  void put_back(Number number) noexcept {
    auto& block = table()[number];
    if (!is_small(size_of(block)) && block.committed != 0) {
      make_room_for(block);
      if (fits(block)) {
        header_.warm_bytes += block.committed;
      } else {
        discard(block);
      }
    }
    push(number);
  }

  /// Free blocks keep no memory, but for small ones.
  void discard_warm() noexcept {
    for (auto& list : header_.warm) {
      while (list != kNobody) cool(list);
    }
  }

  /// Everything that follows from the states of blocks, anew.
  void rebuild() noexcept {
    header_.cold.fill(kNobody);
    header_.warm.fill(kNobody);
    header_.warm_bytes = 0;
    header_.small_frontier = kSmallBegin;
    header_.large_frontier = large_begin_;
    for (Number number = 0; number < count(); ++number) {
      auto const& block = table()[number];
      auto const size_class = size_of(block);
      auto& frontier = is_small(size_class) ? header_.small_frontier : header_.large_frontier;
      frontier = std::max(frontier, block.offset + extent(size_class));
      if (!is_used(number)) put_back(number);
    }
  }

 private:
  static constexpr Number kNobody = ArenaLayout::kNobody;
  static constexpr std::uint64_t kPage = ArenaLayout::kPage;
  static constexpr std::uint64_t kSmallPage = ArenaLayout::kSmallPage;
  static constexpr Offset kSmallBegin = ArenaLayout::kEnd;

  static constexpr bool is_small(SizeClass size_class) noexcept {
    return size_class.size() <= kLargestSmall;
  }
  /// Bytes between this block and the next.
  static constexpr std::uint64_t extent(SizeClass size_class) noexcept {
    return is_small(size_class) ? size_class.size() : round_up(size_class.size(), kPage);
  }
  static SizeClass size_of(Block const& block) noexcept { return SizeClass::at(block.size_class); }

  Block* table() const noexcept { return segment_.at<Block>(ArenaLayout::kBlockTable); }

  void push(Number number) noexcept {
    auto& block = table()[number];
    auto& list = (block.committed == 0 ? header_.cold : header_.warm)[block.size_class];
    block.next = list;
    list = number;
  }

  /// A list that has a block; null: none has.
  Number* free_of(SizeClass size_class) const noexcept {
    for (auto* const lists : {&header_.warm, &header_.cold}) {
      if ((*lists)[size_class.index()] != kNobody) return &(*lists)[size_class.index()];
    }
    return nullptr;
  }
  Number* free_of_larger_than(SizeClass size_class) const noexcept {
    for (auto index = size_class.index() + 1; index < SizeClass::kCount; ++index) {
      if (auto* const list = free_of(SizeClass::at(index))) return list;
    }
    return nullptr;
  }

  Number make(SizeClass size_class) {
    bool const small = is_small(size_class);
    auto& frontier = small ? header_.small_frontier : header_.large_frontier;
    auto const size = extent(size_class);
    auto const room = small ? large_begin_ : segment_.size();
    Number const number = count();
    if (number == ArenaLayout::kBlocks || size > room - frontier) throw std::bad_alloc();
    if (small) commit_small(frontier + size);
    ArenaLayout::commit_entry(segment_, ArenaLayout::kBlockTable, sizeof(Block), number);
    auto& block = *new (&table()[number]) Block;
    block.offset = frontier;
    block.size_class = size_class.index();
    header_.count = number + 1;
    frontier += size;
    return number;
  }

  void commit_small(Offset end) {
    auto& committed = header_.small_committed;
    if (end <= committed) return;
    auto const step = round_up(end - committed, ArenaLayout::kStep);
    segment_.commit({committed, step});
    committed += step;
  }

  /// Whether its memory can be kept as well.
  bool fits(Block const& block) const noexcept {
    return block.committed <= kWarmest - header_.warm_bytes;
  }

  /// In the memory that is kept warm, at the cost of other sizes: so the sizes that are used now
  /// replace those that were used before.
  void make_room_for(Block const& block) noexcept {
    if (block.committed > kWarmest || fits(block)) return;
    for (std::uint32_t size_class = SizeClass::kCount; size_class-- > 0;) {
      if (size_class == block.size_class) continue;
      auto& list = header_.warm[size_class];
      while (list != kNobody && !fits(block)) cool(list);
    }
  }

  /// The first of a list of warm ones becomes a cold one.
  void cool(Number& list) noexcept {
    Number const number = list;
    auto& block = table()[number];
    list = block.next;
    header_.warm_bytes -= block.committed;
    discard(block);
    push(number);
  }

  void discard(Block& block) const noexcept {
    block.committed = Block::kUncertain;
    segment_.discard({block.offset, extent(size_of(block))});
    block.committed = 0;
  }

  Segment const& segment_;
  Header& header_;
  Offset large_begin_;
};

}  // namespace multiprocessing::shm
