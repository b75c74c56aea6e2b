// SPDX-License-Identifier: BSL-1.0
// The arena that this process shares with its descendants: where small shared objects live.
//
//   Lock, Event, Value ..  --Shared<State>-->  Lease  --block number-->  Arena (one segment a
//   family)
//
// It is made at the first use, and inherited by fork: a forked child gets a place among the
// participants, and holds what its parent held, before it does anything else. So a shared object
// lives as long as any process that could reach it, whoever drops it first or is killed.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/arena.hpp>

namespace multiprocessing::shm {

/// Threads: all members safe. Fork: as above.
class Heap {
 public:
  /// Of this process. Never destroyed: static objects may hold shared ones.
  /// Throws: std::system_error, std::bad_alloc when it can not be made.
  static Heap& instance() {
    if (auto* const heap = current().load()) return *heap;
    std::lock_guard const gate(os::fork_gate());  // no fork finds it half made
    if (auto* const heap = current().load()) return *heap;
    register_handlers();
    auto heap = std::make_unique<Heap>();
    current() = heap.get();
    return *heap.release();
  }

  /// REQUIRES: not called by users; instance() makes the only one.
  Heap() : arena_("multiprocessing-heap", kReservation) {
    Number const me = arena_.claim(Arena::kNobody);
    if (me == Arena::kNobody || !arena_.enter(me, 0)) throw std::bad_alloc();
    me_ = me;
  }
  Heap(Heap const&) = delete;
  Heap& operator=(Heap const&) = delete;

  Arena& arena() noexcept { return arena_; }

  /// This process among the participants; kNobody when there was no room for it.
  Number me() const noexcept { return me_.load(); }

  Number allocate(std::uint64_t size) {
    std::lock_guard const lock(mutex_);
    return arena_.allocate(me(), size);
  }
  void release(Number block) noexcept {
    try {
      std::lock_guard const lock(mutex_);
      arena_.release(me(), block);
    } catch (std::exception const&) {  // no memory to look at the dead: a later burial frees it
    }
  }

 private:
  // More than any machine has, and little beside the 128 TiB that a process may address.
  static constexpr std::uint64_t kReservation = std::uint64_t{1} << 40;

  static std::atomic<Heap*>& current() noexcept {
    static std::atomic<Heap*> heap{nullptr};
    return heap;
  }
  /// A place that was claimed for a child of the fork that this thread is in.
  struct Claim {
    Heap* heap = nullptr;  ///< null: there was no heap when the fork began
    Number place = Arena::kNobody;
    std::uint32_t generation = 0;
  };
  static Claim& claimed_by_this_thread() noexcept {
    static thread_local constinit Claim claim;
    return claim;
  }

  static void register_handlers() {
    static bool registered = false;  // guarded by the fork gate
    if (registered) return;
    os::count_forks();
    os::register_fork_handlers(&before_fork, &in_parent, &in_child);
    os::fork_listener() = &note_forked;
    registered = true;
  }

  // The mutex is held across the fork: what other threads hold does not change between the copy of
  // the holds and the copy of the memory.
  static void before_fork() {
    auto* const heap = current().load();
    claimed_by_this_thread() = {heap};
    if (heap == nullptr) return;
    heap->mutex_.lock();
    Number const place = heap->arena_.claim(heap->me());
    if (place == Arena::kNobody) return;
    claimed_by_this_thread() = {heap, place, heap->arena_.participant(place).generation()};
  }
  static void in_parent() {
    auto* const heap = claimed_by_this_thread().heap;
    if (heap != nullptr) heap->mutex_.unlock();
  }
  /// So that a child that is killed before it enters is known to be dead, and a failed fork too.
  static void note_forked(pid_t child) noexcept {
    auto const claim = std::exchange(claimed_by_this_thread(), Claim());
    if (claim.place == Arena::kNobody) return;
    claim.heap->arena_.participant(claim.place).set_pid(child, claim.generation);
  }
  static void in_child() {
    auto const claim = std::exchange(claimed_by_this_thread(), Claim());
    if (claim.heap == nullptr) return;
    if (claim.place != Arena::kNobody && !claim.heap->arena_.enter(claim.place, claim.generation)) {
      os::write_to_stderr(
          "multiprocessing: this process was stopped at its birth for more than a minute, and what "
          "it shares with its parent is gone\n");
      std::abort();
    }
    claim.heap->me_ = claim.place;
    claim.heap->mutex_.unlock();
  }

  Arena arena_;
  std::mutex mutex_;
  std::atomic<Number> me_{Arena::kNobody};
};

/// One process's hold of one block.
class Lease {
 public:
  /// Whether the object at this place does without its memory from now on.
  using LetGo = bool (*)(std::byte* object);

  /// `let_go` is asked in the end; when it says no, the hold ends with the process. null: yes.
  Lease(std::uint64_t size, LetGo let_go)
      : heap_(&Heap::instance()), block_(heap_->allocate(size)), let_go_(let_go) {}
  Lease(Lease const&) = delete;
  Lease& operator=(Lease const&) = delete;
  ~Lease() {
    try {
      if (let_go_ == nullptr || let_go_(data())) heap_->release(block_);
    } catch (std::exception const&) {  // the hold ends with the process
    }
  }

  std::byte* data() const noexcept { return heap_->arena().data(block_); }
  std::uint64_t id() const noexcept { return heap_->arena().id(block_); }

 private:
  Heap* heap_;
  Number block_;
  LetGo let_go_;
};

/// A handle of a T in shared memory: copies are the same object, in all processes that inherit one.
/// A T is never destroyed; its memory is freed when the last handle is gone.
template <class T>
class Shared {
 public:
  static_assert(std::is_trivially_destructible_v<T>, "its holder may be killed");

  /// Makes the object, followed by `extra` zero bytes. Throws: std::bad_alloc, what T's does.
  template <class... Arguments>
  static Shared make(std::uint64_t extra, Arguments&&... arguments) {
    static_assert(alignof(T) <= base::kCacheLine,
                  "multiprocessing: shared memory aligns to cache lines, this type wants more");
    auto lease = std::make_shared<Lease const>(sizeof(T) + extra, let_go());
    auto* const object = new (lease->data()) T(std::forward<Arguments>(arguments)...);
    return Shared(std::move(lease), object);
  }

  /// A handle of a part of the object, which keeps the whole.
  template <class Part, class Whole>
  requires std::same_as<Whole, T> Shared<Part> part(Part Whole::*member)
  const { return Shared<Part>(lease_, &(object_->*member)); }

  // No moves: a handle always has its object.
  Shared(Shared const&) = default;
  Shared& operator=(Shared const&) = default;

  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }

  /// Names what make() made, in all processes and for good; never 0.
  std::uint64_t id() const noexcept { return lease_->id(); }

  /// Whether both are the same object.
  friend bool operator==(Shared const& a, Shared const& b) noexcept {
    return a.object_ == b.object_;
  }

 private:
  template <class>
  friend class Shared;

  static Lease::LetGo let_go() noexcept {
    if constexpr (requires(T & object) { object.let_go(); }) {
      return [](std::byte* object) { return std::launder(reinterpret_cast<T*>(object))->let_go(); };
    } else {
      return nullptr;
    }
  }

  Shared(std::shared_ptr<Lease const> lease, T* object)
      : lease_(std::move(lease)), object_(object) {}

  std::shared_ptr<Lease const> lease_;
  T* object_;
};

}  // namespace multiprocessing::shm
