// SPDX-License-Identifier: BSL-1.0
// An arena that many processes allocate from: blocks of shared memory that live as long as any
// living process holds them.
//
//   SegmentHeader, Header       guard, frontiers, heads of the free lists
//   Participant[kParticipants]  the processes
//   Block[kBlocks]              offset, class and state of every block ever made
//   row[kParticipants]          a bit a block: "this participant holds it"; written by it alone
//   small | large               the blocks: small ones share pages, large ones have their own
//
// What is true stands in Block::state and in the rows, each changed by one store. All else follows
// from it: after the death of somebody who held the guard, the next one rebuilds the free lists and
// the frontiers. A block that no living participant holds is garbage, whatever step its last holder
// was killed at, and whoever buries that holder frees it.
//
// Failure   killed in allocate: the block is free, or held by the dead and freed with its burial.
//           killed in release: the same. killed in a burial: the next burial begins anew.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <type_traits>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/participants.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/shm/size_class.hpp>

namespace multiprocessing::shm {

/// Of a participant or of a block, in the tables of its arena.
using Number = std::uint32_t;

/// Threads and processes: all members safe. Fork: see claim() and enter().
/// Peer death: nothing is lost but what the dead alone held, and that is freed.
class Arena {
 public:
  static constexpr Number kParticipants = 4096;
  static constexpr Number kBlocks = Number{1} << 20;
  static constexpr Number kNobody = UINT32_MAX;

  /// REQUIRES: whoever enters an arena does not destroy it as long as the thread lives that
  /// entered. Reserves addresses for `wanted` bytes, or less where a limit forbids so many. Throws:
  /// std::system_error, std::bad_alloc.
  Arena(char const* label, std::uint64_t wanted)
      : segment_(label, wanted, kSmallest),
        small_begin_(kRows + std::uint64_t{kParticipants} * kRowSize),
        large_begin_(round_up(small_begin_ + (segment_.size() - small_begin_) / 8, kPage)) {
    segment_.commit({kHeader, round_up(sizeof(Header), kPage)});
    auto* const header = new (segment_.data(kHeader)) Header;
    header->small_frontier = small_begin_;
    header->large_frontier = large_begin_;
  }

  /// A place for a process that is about to be forked by participant `parent`, whose holds it
  /// inherits; kNobody as `parent` for none. kNobody: there is no room; from then on nothing is
  /// freed any more, because a process exists whose holds are not known.
  Number claim(Number parent) {
    Guarded const guarded(*this);
    try {
      Number const child = free_place();
      clear_row(child);  // somebody may have been killed here, before the place was claimed
      copy_row(parent, child);
      participant(child).claim();
      return child;
    } catch (std::exception const&) {
      header().is_immortal = true;
      return kNobody;
    }
  }

  /// The calling process takes the place that was claimed for it, which was of `generation` then.
  /// False when it has been taken away: this process was kept from running for a minute.
  bool enter(Number me, std::uint32_t generation) { return participant(me).enter(generation); }

  Participant& participant(Number number) noexcept {
    return segment_.at<Participant>(kTable)[number];
  }
  Number participants() const noexcept { return header().participants.load(); }

  /// Whether the process that had `number` when the place was of `generation` has ended.
  bool is_dead(Number number, std::uint32_t generation) {
    auto& who = participant(number);
    return who.generation() != generation || who.is_free() || who.is_dead();
  }

  /// A block of at least `size` bytes, all zero, aligned to a cache line, held by `me`.
  /// Throws: std::bad_alloc when the machine or the arena is full.
  Number allocate(Number me, std::uint64_t size) {
    if (size > segment_.size()) throw std::bad_alloc();
    try {
      return try_allocate(me, size);
    } catch (std::bad_alloc const&) {
      bury_the_dead();  // perhaps they have what is missing
      return try_allocate(me, size);
    }
  }

  std::byte* data(Number block) const noexcept { return segment_.data(blocks()[block].offset); }

  /// Names what is in the block now, in all processes; never 0, and never again.
  std::uint64_t id(Number block) const noexcept {
    return std::uint64_t{blocks()[block].uses} << 32 | block;
  }
  /// Whether what `id` named still lives.
  bool exists(std::uint64_t id) const noexcept {
    auto const number = static_cast<Number>(id);
    return number < header().blocks && this->id(number) == id &&
           blocks()[number].state == Block::State::Used;
  }

  /// `me` does not hold the block any more. Frees it when nobody else does.
  void release(Number me, Number block) {
    if (me == kNobody) return;
    row(me)[block / 64].fetch_and(~bit(block));
    Guarded const guarded(*this);
    if (header().is_immortal) return;
    for (Number other = 0; other < header().participants; ++other) {
      if (participant(other).is_free() || !holds(other, block)) continue;
      if (!participant(other).is_dead()) return;
      bury(other);
    }
    free_block(block);
  }

  /// Frees what only dead processes held.
  void bury_the_dead() {
    Guarded const guarded(*this);
    bury_all_dead();
  }

  /// Blocks in use, also those that only dead processes hold. For diagnosis.
  Number used_blocks() {
    Guarded const guarded(*this);
    return static_cast<Number>(
        std::count_if(blocks(), blocks() + header().blocks.load(),
                      [](Block const& block) { return block.state == Block::State::Used; }));
  }

  /// A table that all participants find without asking, for one type of entries, whoever the user
  /// is; it only grows.
  template <class Entry>
  Entry& entry(Number index) noexcept {
    return segment_.at<Entry>(kEntries)[index];
  }
  Number entries() const noexcept { return header().entries.load(); }

  /// Makes one more. Throws: std::bad_alloc when the table or the machine is full.
  template <class Entry>
  Number add_entry() {
    static_assert(std::is_trivially_destructible_v<Entry>);
    Guarded const guarded(*this);
    Number const index = header().entries;
    if ((index + 1) * sizeof(Entry) > kEntriesSize) throw std::bad_alloc();
    commit_entry(kEntries, sizeof(Entry), index);
    new (&entry<Entry>(index)) Entry;
    header().entries = index + 1;
    return index;
  }

 private:
  struct Block {
    enum class State : std::uint32_t { Free, Used };

    Offset offset;
    std::uint32_t size_class;
    std::atomic<State> state;
    Number next;         ///< in the free list
    std::uint32_t uses;  ///< how often it was allocated
  };

  struct Header {
    Header() { free_lists.fill(kNobody); }

    os::RobustMutex guard;
    std::atomic<Number> participants{0};  // places that exist, used or free
    std::atomic<Number> blocks{0};        // blocks that exist, used or free
    std::atomic<Number> entries{0};
    std::atomic<bool> is_immortal{false};
    Offset small_frontier{0};  // where the next new block begins
    Offset large_frontier{0};
    Offset small_committed{0};  // below this all has pages
    std::array<Number, SizeClass::kCount> free_lists;
  };

  // Pages of 4 to 64 KiB occur. What must not share one is a multiple of the largest apart; what
  // needs one is rounded to the smallest, and the kernel rounds up where its are larger.
  static constexpr std::uint64_t kPage = std::uint64_t{64} << 10;
  static constexpr std::uint64_t kSmallPage = 4096;
  static constexpr std::uint64_t kRowSize = kBlocks / 8;
  static constexpr Offset kHeader = 4096;
  static constexpr Offset kTable = kPage;
  static constexpr Offset kEntries = kTable + kParticipants * sizeof(Participant);
  static constexpr std::uint64_t kEntriesSize = std::uint64_t{1} << 20;
  static constexpr Offset kBlockTable = kEntries + kEntriesSize;
  static constexpr Offset kRows = round_up(kBlockTable + kBlocks * sizeof(Block), kPage);
  // Tables, and as much again and more for blocks.
  static constexpr std::uint64_t kSmallest = std::uint64_t{2} << 30;
  // Small blocks share pages and keep them; larger ones give their memory back when freed.
  static constexpr std::uint64_t kLargestSmall = std::uint64_t{32} << 10;
  // How far ahead tables and small blocks get their pages: few system calls, little waste.
  static constexpr std::uint64_t kStep = kPage;
  static_assert(kHeader + sizeof(Header) <= kTable);

  static constexpr bool is_small(SizeClass size_class) noexcept {
    return size_class.size() <= kLargestSmall;
  }
  /// Bytes between this block and the next.
  static constexpr std::uint64_t extent(SizeClass size_class) noexcept {
    return is_small(size_class) ? size_class.size() : round_up(size_class.size(), kPage);
  }
  static constexpr std::uint64_t bit(Number block) noexcept {
    return std::uint64_t{1} << (block % 64);
  }

  /// Holds the guard; repairs first what the last holder left when it died.
  class Guarded {
   public:
    explicit Guarded(Arena& arena) : arena_(arena) {
      if (arena.header().guard.lock() == os::Acquired::Recovered) arena.rebuild();
    }
    Guarded(Guarded const&) = delete;
    Guarded& operator=(Guarded const&) = delete;
    ~Guarded() { arena_.header().guard.unlock(); }

   private:
    Arena& arena_;
  };

  Header& header() noexcept { return *segment_.at<Header>(kHeader); }
  Header const& header() const noexcept { return *segment_.at<Header>(kHeader); }
  Block* blocks() const noexcept { return segment_.at<Block>(kBlockTable); }
  std::atomic<std::uint64_t>* row(Number participant) const noexcept {
    return segment_.at<std::atomic<std::uint64_t>>(kRows + std::uint64_t{participant} * kRowSize);
  }

  bool holds(Number who, Number block) noexcept {
    return has_row_for(who, block) && (row(who)[block / 64].load() & bit(block)) != 0;
  }
  bool has_row_for(Number who, Number block) noexcept {
    return block / 8 < participant(who).row_pages() * kSmallPage;
  }

  Number try_allocate(Number me, std::uint64_t size) {
    auto const size_class = SizeClass::of(size);
    bool is_used_memory = false;
    Number const number = take(me, size_class, is_used_memory);
    auto const& block = blocks()[number];
    if (is_small(size_class)) {
      if (is_used_memory) std::memset(segment_.data(block.offset), 0, size_class.size());
      return number;
    }
    try {  // outside of the guard: gigabytes take their time
      segment_.commit({block.offset, round_up(size, kSmallPage)});
    } catch (...) {
      release(me, number);
      throw;
    }
    return number;
  }

  // What follows: REQUIRES the guard.

  /// Backs table entries up to `count` with pages, when the one before was the last that had some.
  void commit_entry(Offset table, std::uint64_t entry_size, Number index) {
    auto const begin = table + index * entry_size;
    auto const before = index == 0 ? table : round_up(begin, kStep);
    auto const end = round_up(begin + entry_size, kStep);
    if (before < end) segment_.commit({before, end - before});
  }

  void commit_row(Number who, Number block) {
    auto& owner = participant(who);
    while (!has_row_for(who, block)) {
      auto const begin = std::uint64_t{who} * kRowSize + owner.row_pages() * kSmallPage;
      segment_.commit({kRows + begin, kSmallPage});
      owner.add_row_page();
    }
  }

  Number free_place() {
    auto& header = this->header();
    bury_all_dead();
    for (Number number = 0; number < header.participants; ++number) {
      if (participant(number).is_free()) return number;
    }
    Number const number = header.participants;
    if (number == kParticipants) throw std::bad_alloc();
    commit_entry(kTable, sizeof(Participant), number);
    new (&participant(number)) Participant;
    header.participants = number + 1;
    return number;
  }

  void copy_row(Number from, Number to) {
    if (from == kNobody || header().blocks == 0) return;
    Number const last = header().blocks - 1;
    for (Number word = 0; word <= last / 64; ++word) {
      if (!has_row_for(from, word * 64)) break;
      auto const held = row(from)[word].load();
      if (held == 0) continue;
      commit_row(to, word * 64);
      row(to)[word] = held;
    }
  }

  void clear_row(Number who) noexcept {
    auto const words = participant(who).row_pages() * kSmallPage / 8;
    for (std::uint64_t word = 0; word < words; ++word) {
      if (row(who)[word].load() != 0) row(who)[word] = 0;
    }
  }

  void bury_all_dead() {
    for (Number number = 0; number < header().participants; ++number) {
      auto& who = participant(number);
      if (!who.is_free() && who.is_dead()) bury(number);
    }
  }

  /// Frees what nobody but the dead `who` held, then its place.
  void bury(Number who) {
    if (!header().is_immortal) {
      for (Number first = 0; first < header().blocks; first += 64) {
        std::uint64_t held = 0;
        for (Number other = 0; other < header().participants; ++other) {
          if (other == who || participant(other).is_free() || !has_row_for(other, first)) continue;
          held |= row(other)[first / 64].load();
        }
        auto const end = std::min(first + 64, header().blocks.load());
        for (Number block = first; block < end; ++block) {
          if ((held & bit(block)) == 0) free_block(block);
        }
      }
    }
    clear_row(who);
    participant(who).free();
  }

  void free_block(Number number) {
    auto& block = blocks()[number];
    if (block.state == Block::State::Free) return;
    auto const size_class = size_class_of(block);
    if (!is_small(size_class)) segment_.discard({block.offset, extent(size_class)});
    block.state = Block::State::Free;
    push(number);
  }

  void push(Number number) noexcept {
    auto& head = header().free_lists[blocks()[number].size_class];
    blocks()[number].next = head;
    head = number;
  }

  SizeClass size_class_of(Block const& block) const noexcept {
    return SizeClass::at(block.size_class);
  }

  Number take(Number me, SizeClass size_class, bool& is_used_memory) {
    Guarded const guarded(*this);
    auto& head = header().free_lists[size_class.index()];
    is_used_memory = head != kNobody;
    if (!is_used_memory) push(make_block(size_class));
    Number const number = head;
    if (me != kNobody) {
      commit_row(me, number);
      row(me)[number / 64].fetch_or(bit(number));
    }
    auto& block = blocks()[number];
    head = block.next;
    ++block.uses;
    block.state = Block::State::Used;
    return number;
  }

  Number make_block(SizeClass size_class) {
    auto& header = this->header();
    bool const small = is_small(size_class);
    auto& frontier = small ? header.small_frontier : header.large_frontier;
    auto const size = extent(size_class);
    auto const room = small ? large_begin_ : segment_.size();
    Number const number = header.blocks;
    if (number == kBlocks || size > room - frontier) throw std::bad_alloc();
    if (small) commit_small(frontier + size);
    commit_entry(kBlockTable, sizeof(Block), number);
    auto& block = blocks()[number];
    block.offset = frontier;
    block.size_class = size_class.index();
    block.state = Block::State::Free;
    header.blocks = number + 1;
    frontier += size;
    return number;
  }

  void commit_small(Offset end) {
    auto& committed = header().small_committed;
    committed = std::max(committed, small_begin_);
    if (end <= committed) return;
    auto const step = round_up(end - committed, kStep);
    segment_.commit({committed, step});
    committed += step;
  }

  /// Everything that follows from the states of blocks and participants, anew.
  void rebuild() {
    auto& header = this->header();
    header.free_lists.fill(kNobody);
    header.small_frontier = small_begin_;
    header.large_frontier = large_begin_;
    for (Number number = 0; number < header.blocks; ++number) {
      auto const& block = blocks()[number];
      auto const size_class = size_class_of(block);
      auto& frontier = is_small(size_class) ? header.small_frontier : header.large_frontier;
      frontier = std::max(frontier, block.offset + extent(size_class));
      if (block.state == Block::State::Free) push(number);
    }
  }

  Segment segment_;
  Offset small_begin_;
  Offset large_begin_;
};

}  // namespace multiprocessing::shm
