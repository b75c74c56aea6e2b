// SPDX-License-Identifier: BSL-1.0
// An arena that many processes allocate from: blocks of shared memory that live as long as any
// living process holds them, the block that they belong to exists, or a message refers to them.
//
//   Header                      guard, frontiers, heads of the free lists
//   Participant[kParticipants]  the processes
//   Block[kBlocks]              state, owner .. of every block ever made
//   row[kParticipants]          a bit a block: "this participant holds it"; written by it alone
//   small | large               the blocks: small ones share pages, large ones have their own
//
//   a queue's block <--owner-- a message's block --references--> a lock's block
//
// What is true stands in Block::state, owner and is_envelope, in the list that an envelope begins
// with, and in the rows, each changed by one store. All else follows from it: after the death of
// somebody who held the guard, the next one rebuilds lists, frontiers and counts. A block that
// nothing keeps is garbage, whatever step the last one to keep it was killed at, and whoever buries
// that one frees it.
//
// Who looks for garbage reads the owner before the rows, and bits of a row vanish under the guard
// only. So give() and adopt() need no guard: at each moment one of the two is there to be seen.
//
// Failure   killed in allocate: the block is free, or held by the dead and freed with its burial.
//           killed in release: the same. killed in a burial: the next burial begins anew.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/blocks.hpp>
#include <multiprocessing/shm/holds.hpp>
#include <multiprocessing/shm/participants.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/shm/size_class.hpp>

namespace multiprocessing::shm {

/// Threads and processes: all members safe. Fork: see claim() and enter().
/// Peer death: nothing is lost but what the dead alone held, and that is freed.
class Arena {
 public:
  static constexpr Number kParticipants = ArenaLayout::kParticipants;
  static constexpr Number kBlocks = ArenaLayout::kBlocks;
  static constexpr Number kNobody = ArenaLayout::kNobody;

  /// REQUIRES: whoever enters an arena does not destroy it as long as the thread lives that
  /// entered. Reserves addresses for `wanted` bytes, or less where a limit forbids so many. Throws:
  /// std::system_error, std::bad_alloc.
  Arena(char const* label, std::uint64_t wanted);
  /// The arena that lies in the segment that somebody else has made. Throws: Error when it is none
  /// of this version, std::system_error.
  explicit Arena(os::Fd segment)
      : segment_(Segment::attach(std::move(segment))),
        header_(*segment_.at<Header>(ArenaLayout::kHeader)),
        blocks_(segment_, header_.blocks),
        holds_(segment_) {}
  Arena(Arena const&) = delete;
  Arena& operator=(Arena const&) = delete;

  // Participants.

  /// A place for a process that is about to be made by participant `parent`, whose holds it
  /// inherits, as fork wants it; kNobody as `parent` for none. kNobody: there is no room; from then
  /// on nothing is freed any more, because a process exists whose holds are not known.
  Number claim(Number parent);

  /// The calling process takes the place that was claimed for it, which was of `generation` then.
  /// False when it has been taken away: this process was kept from running for a minute.
  bool enter(Number me, std::uint32_t generation) { return participant(me).enter(generation); }

  /// What another process needs to have this arena.
  os::Fd const& segment_fd() const noexcept { return segment_.fd(); }

  Participant& participant(Number number) noexcept;
  Number participants() const noexcept { return header_.participants.load(); }

  /// Whether the process that had `number` when the place was of `generation` has ended.
  bool is_dead(Number number, std::uint32_t generation);

  /// Frees what only dead processes held.
  void bury_the_dead();

  // Blocks.

  /// A block of at least `size` bytes, aligned to a cache line, held by `me`.
  /// Throws: std::bad_alloc when the machine or the arena is full.
  Number allocate(Number me, std::uint64_t size, Content content = Content::Zeros);

  /// A block with addresses for `size` bytes, held by `me`, that gets its memory by resize(); what
  /// it has then is anything. Throws: std::bad_alloc when there are no such addresses left.
  Number reserve(Number me, std::uint64_t size);

  /// Addresses that no block has taken yet.
  std::uint64_t unreserved();

  /// The first `size` bytes, at least, of a block that was reserved have memory from now on, what
  /// is behind them has none; what is in them stays. REQUIRES: no more than was reserved; one call
  /// at a time for a block. Throws: std::bad_alloc when the machine is full.
  void resize(Number block, std::uint64_t size) { blocks_.resize(block, size); }

  std::byte* data(Number block) const noexcept { return blocks_.data(block); }

  /// What can be used of the block; more than was asked for.
  std::uint64_t size(Number block) const noexcept { return blocks_.size(block); }

  /// Names what is in the block now, in all processes; never 0, and not again for the next four
  /// billion uses of the block.
  std::uint64_t id(Number block) const noexcept { return blocks_.id(block); }
  /// Whether what `id` named still lives.
  bool exists(std::uint64_t id) const noexcept { return blocks_.exists(id); }
  /// Of what an id names.
  static constexpr Number block_of(std::uint64_t id) noexcept { return static_cast<Number>(id); }

  /// Gives memory that free blocks keep, so that the next ones need not wait for it, to the system.
  void trim();

  /// Blocks in use, also those that only dead processes hold. For diagnosis.
  Number used_blocks();
  /// Bytes of memory that it has from the system. For diagnosis.
  std::uint64_t memory() const { return os::allocated_size(segment_.fd()); }

  // Who holds a block. A hold keeps the block; each participant has one or none.

  /// REQUIRES, here and in adopt(): the block can not be freed meanwhile, because it is held, owned
  /// or referred to. Throws: std::bad_alloc.
  void hold(Number me, Number block);

  /// `me` does not hold the block any more. Frees it when nothing else keeps it.
  void release(Number me, Number block);

  /// Complexity: a load.
  bool holds(Number who, Number block) const noexcept { return holds_.holds(who, block); }

  /// Calls `visit(number)` for each participant that holds the block and is not known to be dead.
  /// Those who come or go meanwhile may be visited or not.
  template <class Visit>
  void for_each_holder(Number block, Visit const& visit) {
    for (Number who = 0; who < participants(); ++who) {
      if (participant(who).is_free() || !holds(who, block) || participant(who).is_dead()) continue;
      visit(who);
    }
  }

  // What a block belongs to. It keeps the block, held or not.

  /// The block lives as long as what the id `owner` names, also when nobody holds it. When that has
  /// gone by then, this does nothing. REQUIRES: the caller holds the block, and no chain of owners
  /// leads back to it. Complexity: two stores.
  void give(Number block, std::uint64_t owner) noexcept;

  /// It belongs to nobody any more. Frees it when nothing else keeps it.
  void disown(Number block);

  /// It belongs to nobody any more, and is held by `me` before that. Throws: std::bad_alloc.
  void adopt(Number me, Number block);

  /// An id; 0 when it belongs to nobody, or what it belonged to has gone.
  std::uint64_t owner_of(Number block) const noexcept;

  // What a block refers to. An envelope is the block of a message in which other blocks are named;
  // it keeps them as long as it exists.

  /// How many bytes the list of references takes, in front of the message.
  static constexpr std::uint64_t references_size(std::uint64_t count) noexcept {
    return round_up((count + 1) * sizeof(Number), base::kCacheLine);
  }

  /// Makes the block an envelope: writes the list of references, and counts them. REQUIRES: the
  /// caller holds it and all targets; the first references_size() bytes are free for the list, and
  /// stay as they are; the block is none yet.
  void refer(Number envelope, std::span<Number const> targets);

  /// The blocks that it refers to. REQUIRES: the caller holds it.
  std::span<Number const> references_of(Number envelope) const noexcept;

  /// Whether a message refers to the block.
  bool is_referenced(Number block) const noexcept { return blocks_[block].references != 0; }

  // Blocks that something outside the arena belongs to, see Vault.

  /// Something there belongs to the block, or does not any more. REQUIRES: the caller holds it.
  void mark_vaulted(Number block) noexcept { blocks_[block].is_vaulted = true; }
  void unmark_vaulted(Number block) noexcept { blocks_[block].is_vaulted = false; }
  /// Whether what `id` named lives and is marked.
  bool is_vaulted(std::uint64_t id) const noexcept;
  /// Whether one that was marked has been freed since this was called last.
  bool take_freed_vaulted() noexcept;
  os::RobustMutex& vault_guard() noexcept { return header_.vault_guard; }
  /// Perhaps. Guarded by that.
  std::atomic<bool>& vault_has_gaps() noexcept { return header_.vault_has_gaps; }

  // A table that all participants find without asking, for one type of entries, whoever the user
  // is; it only grows.

  template <class Entry>
  Entry& entry(Number index) noexcept {
    return segment_.at<Entry>(ArenaLayout::kEntries)[index];
  }
  Number entries() const noexcept { return header_.entries.load(); }

  /// Makes one more. Throws: std::bad_alloc when the table or the machine is full.
  template <class Entry>
  Number add_entry() {
    static_assert(std::is_trivially_destructible_v<Entry>);
    Guarded const guarded(*this);
    Number const index = header_.entries;
    if ((index + 1) * sizeof(Entry) > ArenaLayout::kEntriesSize) throw std::bad_alloc();
    ArenaLayout::commit_entry(segment_, ArenaLayout::kEntries, sizeof(Entry), index);
    new (&entry<Entry>(index)) Entry;
    header_.entries = index + 1;
    return index;
  }

 private:
  struct Header {
    os::RobustMutex guard;
    std::atomic<Number> participants{0};  // places that exist, used or free
    std::atomic<Number> entries{0};
    std::atomic<bool> is_immortal{false};
    std::atomic<bool> has_freed_vaulted{false};
    std::atomic<bool> vault_has_gaps{false};
    os::RobustMutex vault_guard;
    Blocks::Header blocks;
  };
  static_assert(ArenaLayout::kHeader + sizeof(Header) <= ArenaLayout::kTable);
  static_assert(sizeof(Participant) <= ArenaLayout::kParticipantSize);

  static Header& make_header(Segment const& segment);

  /// Holds the guard; repairs first what the last holder left when it died.
  class Guarded {
   public:
    explicit Guarded(Arena& arena);
    Guarded(Guarded const&) = delete;
    Guarded& operator=(Guarded const&) = delete;
    ~Guarded() { arena_.header_.guard.unlock(); }

   private:
    Arena& arena_;
  };

  template <class Allocate>
  Number with_the_memory_of_the_dead(std::uint64_t size, Allocate const& try_to) {
    if (size > segment_.size()) throw std::bad_alloc();
    try {
      return try_to();
    } catch (std::bad_alloc const&) {
      bury_the_dead();  // perhaps they have what is missing
      trim();
      return try_to();
    }
  }

  Number try_allocate(Number me, std::uint64_t size, Content content);

  Number take(Number me, SizeClass size_class);

  // What follows: REQUIRES the guard.

  Number free_place();

  void bury_all_dead();

  /// Frees what is kept by nothing once `who` is gone, then its place.
  void bury(Number who);

  std::uint64_t unkept_of_64(Number first) const noexcept;
  std::uint64_t held_of_64(Number block) noexcept;

  /// By something else than holds. To be asked before holds are looked at.
  bool is_kept(Number block) const noexcept;
  bool is_garbage(Number block) noexcept;

  /// Buries those of its holders that are dead.
  void free_unless_kept(Number block);

  /// Frees the block, unless it is free, and whatever becomes garbage by that.
  void free(Number first) noexcept;

  /// Everything that follows from the states of blocks, anew. Readers without the guard see the
  /// numbers of references change where they were wrong, only.
  void rebuild() noexcept;

  Segment const segment_;
  Header& header_;
  Blocks blocks_;
  Holds holds_;
};

}  // namespace multiprocessing::shm

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/shm/arena.ipp>
#endif
