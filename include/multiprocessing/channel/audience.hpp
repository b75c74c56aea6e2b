// SPDX-License-Identifier: BSL-1.0
// Those who hold a block and live: without a count that a death could spoil, because the arena
// knows who holds what.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/park.hpp>

namespace multiprocessing::channel {

/// This process's view of one block that others may hold. Threads: all members safe.
class Audience {
 public:
  /// `block`: Shared::id() of what they hold.
  explicit Audience(std::uint64_t block) noexcept : block_(block) {}

  /// Whether somebody who lives holds it, this process included, or a message under way does.
  /// Mostly a look at the one who was found last.
  bool is_there() const {
    auto const found = Found::of(found_.load(std::memory_order_relaxed));
    return holds(found) || find();
  }

  struct Others {
    bool is_empty = true;        ///< nobody but this process could come back to it
    bool can_be_watched = true;  ///< peers are all of them
  };

  /// Fills `peers` with the others, for a wait that ends with the life of any.
  Others watch(sync::PeerList& peers) const {
    Others others;
    if (!arena_.exists(block_)) return others;
    auto const me = shm::Heap::instance().me();
    if (arena_.is_referenced(number())) {
      arena_.bury_the_dead();  // by a message that only they may have had
      if (!arena_.exists(block_)) return others;
      if (arena_.is_referenced(number())) others = {false, false};
    }
    arena_.for_each_holder(number(), [&](shm::Number holder) {
      if (holder == me) return;
      sync::Peer const peer(arena_.participant(holder).life());
      others.is_empty = false;
      if (peer.holder == 0 || !peers.add(peer)) others.can_be_watched = false;
    });
    return others;
  }

  std::uint64_t block() const noexcept { return block_; }

 private:
  /// A participant, and whose turn it is to have the number.
  struct Found {
    shm::Number number;
    std::uint32_t generation;

    static Found of(std::uint64_t word) noexcept {
      return {static_cast<shm::Number>(word >> 32), static_cast<std::uint32_t>(word)};
    }
    std::uint64_t word() const noexcept { return std::uint64_t{number} << 32 | generation; }
  };

  shm::Number number() const noexcept { return static_cast<shm::Number>(block_); }

  bool holds(Found who) const noexcept {
    if (who.number == shm::Arena::kNobody) return false;
    auto& participant = arena_.participant(who.number);
    return participant.generation() == who.generation && participant.life().is_held() &&
           arena_.holds(who.number, number()) && arena_.exists(block_);
  }

  [[gnu::noinline]] bool find() const {
    if (!arena_.exists(block_)) return false;
    bool any = arena_.is_referenced(number());
    arena_.for_each_holder(number(), [&](shm::Number holder) {
      auto const found = Found{holder, arena_.participant(holder).generation()};
      // The owner of this handle is the last to be taken: it does not die before who asks.
      if (!any || holder != shm::Heap::instance().me()) found_ = found.word();
      any = true;
    });
    return any;
  }

  shm::Arena& arena_ = shm::Heap::instance().arena();
  std::uint64_t const block_;
  mutable std::atomic<std::uint64_t> found_{Found{shm::Arena::kNobody, 0}.word()};
};

}  // namespace multiprocessing::channel
