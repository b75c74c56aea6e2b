// SPDX-License-Identifier: BSL-1.0
// The bodies of arena.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <exception>
#include <new>
#include <span>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/blocks.hpp>
#include <multiprocessing/shm/holds.hpp>
#include <multiprocessing/shm/participants.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/shm/size_class.hpp>

namespace multiprocessing::shm {

MULTIPROCESSING_INLINE Arena::Arena(char const* label, std::uint64_t wanted)
    : segment_(label, wanted, ArenaLayout::kSmallest),
      header_(make_header(segment_)),
      blocks_(segment_, header_.blocks),
      holds_(segment_) {
  blocks_.begin();
}

MULTIPROCESSING_INLINE Number Arena::claim(Number parent) {
  Guarded const guarded(*this);
  try {
    Number const child = free_place();
    holds_.clear(child);  // somebody may have been killed here, before the place was claimed
    if (parent != kNobody) holds_.copy(parent, child, blocks_.count());
    participant(child).claim();
    return child;
  } catch (std::exception const&) {
    header_.is_immortal = true;
    return kNobody;
  }
}

MULTIPROCESSING_INLINE Participant& Arena::participant(Number number) noexcept {
  return segment_.at<Participant>(ArenaLayout::kTable)[number];
}

MULTIPROCESSING_INLINE bool Arena::is_dead(Number number, std::uint32_t generation) {
  auto& who = participant(number);
  return who.generation() != generation || who.is_free() || who.is_dead();
}

MULTIPROCESSING_INLINE void Arena::bury_the_dead() {
  Guarded const guarded(*this);
  bury_all_dead();
}

MULTIPROCESSING_INLINE Number Arena::allocate(Number me, std::uint64_t size, Content content) {
  return with_the_memory_of_the_dead(size, [&] { return try_allocate(me, size, content); });
}

MULTIPROCESSING_INLINE Number Arena::reserve(Number me, std::uint64_t size) {
  auto const size_class = SizeClass::of(std::max(size, Blocks::kLargestSmall + 1));
  return with_the_memory_of_the_dead(size, [&] { return take(me, size_class); });
}

MULTIPROCESSING_INLINE std::uint64_t Arena::unreserved() {
  Guarded const guarded(*this);
  return blocks_.untaken();
}

MULTIPROCESSING_INLINE void Arena::trim() {
  Guarded const guarded(*this);
  blocks_.discard_warm();
}

MULTIPROCESSING_INLINE Number Arena::used_blocks() {
  Guarded const guarded(*this);
  Number used = 0;
  for (Number block = 0; block < blocks_.count(); ++block) used += blocks_.is_used(block) ? 1 : 0;
  return used;
}

MULTIPROCESSING_INLINE void Arena::hold(Number me, Number block) {
  if (me == kNobody || holds_.try_add(me, block)) return;
  Guarded const guarded(*this);
  holds_.add(me, block);
}

MULTIPROCESSING_INLINE void Arena::release(Number me, Number block) {
  if (me == kNobody) return;
  Guarded const guarded(*this);
  holds_.remove(me, block);
  free_unless_kept(block);
}

MULTIPROCESSING_INLINE void Arena::give(Number block, std::uint64_t owner) noexcept {
  if (!exists(owner)) return;
  // The mark first: without it nobody looks for what the owner owns. On another block that has
  // come in its place meanwhile it does no harm.
  auto& mark = blocks_[block_of(owner)].owns;
  if (!mark) mark = true;
  blocks_[block].owner = owner;
}

MULTIPROCESSING_INLINE void Arena::disown(Number block) {
  blocks_[block].owner = 0;
  Guarded const guarded(*this);
  free_unless_kept(block);
}

MULTIPROCESSING_INLINE void Arena::adopt(Number me, Number block) {
  hold(me, block);
  blocks_[block].owner = 0;
}

MULTIPROCESSING_INLINE std::uint64_t Arena::owner_of(Number block) const noexcept {
  auto const owner = blocks_[block].owner.load();
  return exists(owner) ? owner : 0;
}

MULTIPROCESSING_INLINE void Arena::refer(Number envelope, std::span<Number const> targets) {
  auto* const list = reinterpret_cast<Number*>(data(envelope));
  Guarded const guarded(*this);
  list[0] = static_cast<Number>(targets.size());
  std::copy(targets.begin(), targets.end(), list + 1);
  blocks_[envelope].is_envelope = true;
  for (Number const target : targets) ++blocks_[target].references;
}

MULTIPROCESSING_INLINE std::span<Number const> Arena::references_of(
    Number envelope) const noexcept {
  if (!blocks_[envelope].is_envelope) return {};
  auto const* const list = reinterpret_cast<Number const*>(data(envelope));
  return {list + 1, std::min<std::uint64_t>(list[0], size(envelope) / sizeof(Number) - 1)};
}

MULTIPROCESSING_INLINE bool Arena::is_vaulted(std::uint64_t id) const noexcept {
  return exists(id) && blocks_[block_of(id)].is_vaulted;
}

MULTIPROCESSING_INLINE bool Arena::take_freed_vaulted() noexcept {
  return header_.has_freed_vaulted.load() && header_.has_freed_vaulted.exchange(false);
}

MULTIPROCESSING_INLINE Arena::Header& Arena::make_header(Segment const& segment) {
  segment.commit({ArenaLayout::kHeader, round_up(sizeof(Header), ArenaLayout::kSmallPage)});
  return *new (segment.data(ArenaLayout::kHeader)) Header;
}

MULTIPROCESSING_INLINE Arena::Guarded::Guarded(Arena& arena) : arena_(arena) {
  if (arena.header_.guard.lock() == os::Acquired::Recovered) arena.rebuild();
}

MULTIPROCESSING_INLINE Number Arena::try_allocate(Number me, std::uint64_t size, Content content) {
  Number const block = take(me, SizeClass::of(size));
  try {
    blocks_.prepare(block, size, content);
  } catch (...) {
    release(me, block);
    throw;
  }
  return block;
}

MULTIPROCESSING_INLINE Number Arena::take(Number me, SizeClass size_class) {
  Guarded const guarded(*this);
  return blocks_.take(size_class, [&](Number block) {
    if (me != kNobody) holds_.add(me, block);
  });
}

MULTIPROCESSING_INLINE Number Arena::free_place() {
  bury_all_dead();
  for (Number number = 0; number < participants(); ++number) {
    if (participant(number).is_free()) return number;
  }
  Number const number = participants();
  if (number == kParticipants) throw std::bad_alloc();
  ArenaLayout::commit_entry(segment_, ArenaLayout::kTable, sizeof(Participant), number);
  new (&participant(number)) Participant;
  header_.participants = number + 1;
  return number;
}

MULTIPROCESSING_INLINE void Arena::bury_all_dead() {
  for (Number number = 0; number < participants(); ++number) {
    auto& who = participant(number);
    if (!who.is_free() && who.is_dead()) bury(number);
  }
}

MULTIPROCESSING_INLINE void Arena::bury(Number who) {
  holds_.clear(who);
  for (Number first = 0; first < blocks_.count(); first += 64) {
    auto garbage = unkept_of_64(first);
    if (garbage != 0) garbage &= ~held_of_64(first);
    for (; garbage != 0; garbage &= garbage - 1) {
      free(first + static_cast<Number>(std::countr_zero(garbage)));
    }
  }
  participant(who).free();
}

MULTIPROCESSING_INLINE std::uint64_t Arena::unkept_of_64(Number first) const noexcept {
  std::uint64_t unkept = 0;
  auto const end = std::min(first + 64, blocks_.count());
  for (Number block = first; block < end; ++block) {
    if (blocks_.is_used(block) && !is_kept(block)) unkept |= Holds::bit(block);
  }
  return unkept;
}

MULTIPROCESSING_INLINE std::uint64_t Arena::held_of_64(Number block) noexcept {
  std::uint64_t held = 0;
  for (Number who = 0; who < participants(); ++who) {
    if (!participant(who).is_free()) held |= holds_.of_64(who, block);
  }
  return held;
}

MULTIPROCESSING_INLINE bool Arena::is_kept(Number block) const noexcept {
  return exists(blocks_[block].owner) || is_referenced(block);
}

MULTIPROCESSING_INLINE bool Arena::is_garbage(Number block) noexcept {
  return blocks_.is_used(block) && !is_kept(block) && (held_of_64(block) & Holds::bit(block)) == 0;
}

MULTIPROCESSING_INLINE void Arena::free_unless_kept(Number block) {
  if (is_kept(block)) return;
  for (Number who = 0; who < participants(); ++who) {
    if (participant(who).is_free() || !holds(who, block)) continue;
    if (!participant(who).is_dead()) return;
    bury(who);
  }
  if (is_garbage(block)) free(block);  // asked anew: the dead may have given it away at last
}

MULTIPROCESSING_INLINE void Arena::free(Number first) noexcept {
  if (header_.is_immortal) return;
  Number pending = kNobody;  // free blocks that are in no other list yet
  auto const mark_free = [&](Number number) {
    auto& block = blocks_[number];
    block.state = Block::State::Free;
    if (block.is_vaulted) header_.has_freed_vaulted = true;  // after it: who looks finds it freed
    block.next = pending;
    pending = number;
  };
  if (blocks_.is_used(first)) mark_free(first);
  while (pending != kNobody) {
    Number const number = pending;
    auto& block = blocks_[number];
    pending = block.next;
    for (Number const target : references_of(number)) {
      if (target >= blocks_.count()) continue;  // who has written over the list?
      --blocks_[target].references;
      if (is_garbage(target)) mark_free(target);
    }
    if (block.owns) {
      for (Number other = 0; other < blocks_.count(); ++other) {
        if (blocks_[other].owner == id(number) && is_garbage(other)) mark_free(other);
      }
    }
    blocks_.put_back(number);
  }
}

MULTIPROCESSING_INLINE void Arena::rebuild() noexcept {
  header_.has_freed_vaulted = true;  // perhaps
  blocks_.rebuild();
  for (Number block = 0; block < blocks_.count(); ++block) blocks_[block].recount = 0;
  for (Number block = 0; block < blocks_.count(); ++block) {
    if (!blocks_.is_used(block)) continue;
    for (Number const target : references_of(block)) {
      if (target < blocks_.count()) ++blocks_[target].recount;
    }
  }
  for (Number number = 0; number < blocks_.count(); ++number) {
    auto& block = blocks_[number];
    if (block.references != block.recount) block.references = block.recount;
  }
}

}  // namespace multiprocessing::shm
