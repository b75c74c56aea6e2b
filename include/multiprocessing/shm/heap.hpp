// SPDX-License-Identifier: BSL-1.0
// The arena that this process shares with its descendants: where small shared objects live.
//
//   Lock, Event, Value ..  --Shared<State>-->  Lease  --block number-->  Arena (one segment a
//   family)
//
// It is made at the first use, and inherited by fork: a forked child gets a place among the
// participants, and holds what its parent held, before it does anything else. So a shared object
// lives as long as any process that could reach it, whoever drops it first or is killed. A process
// that was started by exec is let into its parent's heap, and holds nothing yet.
#pragma once

#include <sys/types.h>

#include <array>
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
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/admission.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/shm/vault.hpp>

namespace multiprocessing::shm {

/// Threads: all members safe. Fork: as above.
class Heap {
 public:
  /// Of this process. Never destroyed: static objects may hold shared ones.
  /// Throws: std::system_error, std::bad_alloc when it can not be made; Error when the parent's is
  /// of another version.
  static Heap& instance() {
    // acquire: pairs with the store in make_instance()
    if (auto* const heap = current().load(std::memory_order_acquire)) [[likely]]
      return *heap;
    return make_instance();
  }

  /// REQUIRES, here and below: not called by users; instance() makes the only one.
  Heap() : arena_("multiprocessing-heap", kReservation), vault_(arena_) {
    Number const me = arena_.claim(Arena::kNobody);
    if (me == Arena::kNobody || !arena_.enter(me, 0)) throw std::bad_alloc();
    me_ = me;
  }
  explicit Heap(Admission admission)
      : arena_(std::move(admission.segment)),
        vault_(arena_, std::move(admission.files), std::move(admission.others)) {
    auto const place = admission.place;
    if (!arena_.enter(place.number, place.generation)) {
      throw Error(
          "this process was stopped at its birth for more than a minute, and what it "
          "shares with its parent is gone");
    }
    me_ = place.number;
  }
  Heap(Heap const&) = delete;
  Heap& operator=(Heap const&) = delete;

  Arena& arena() noexcept { return arena_; }

  /// Descriptors under way between the processes of this heap.
  Vault& vault() noexcept { return vault_; }

  /// Lets a process in that is about to be started with the other end of `socket`. When its pid is
  /// known, or it could not be started, note_admitted() has to be told.
  /// Throws: std::system_error; std::bad_alloc when there is no place.
  Place admit(os::Fd const& socket) {
    Number const number = arena_.claim(Arena::kNobody);
    if (number == Arena::kNobody) throw std::bad_alloc();
    Place const place{number, arena_.participant(number).generation()};
    try {
      Admission::send(socket, place, arena_.segment_fd(), vault_);
    } catch (...) {
      note_admitted(place, kNoProcess);
      throw;
    }
    return place;
  }
  void note_admitted(Place place, pid_t pid) noexcept {
    arena_.participant(place.number).set_pid(pid, place.generation);
  }
  static constexpr pid_t kNoProcess = -1;

  /// To be called by who has seen the end of a process: a descriptor that it alone had under way is
  /// closed. Other things of the dead can wait until somebody wants their place.
  static void note_death() noexcept {
    auto* const heap = current().load(std::memory_order_acquire);  // as in instance()
    if (heap == nullptr) return;
    try {
      if (heap->vault_.size() == 0) return;
      heap->arena_.bury_the_dead();
      heap->vault_.tidy();
    } catch (std::exception const&) {  // it waits, too
    }
  }

  /// This process among the participants; kNobody when there was no room for it.
  Number me() const noexcept { return me_.load(); }

  // Leases. This process holds a block as long as it has one or more of them; they are counted
  // here.

  /// Whether the object at this place does without its memory from now on.
  using LetGo = bool (*)(std::byte* object);

  /// A block with one lease; `let_go` as in ask_before_release(), or null. Throws: std::bad_alloc.
  Number allocate(std::uint64_t size, Content content, LetGo let_go) {
    return with_a_lease(let_go, [&] { return arena_.allocate(me(), size, content); });
  }
  /// As Arena::reserve(), with one lease.
  Number reserve(std::uint64_t size) {
    return with_a_lease(nullptr, [&] { return arena_.reserve(me(), size); });
  }

  /// One more lease. REQUIRES, here and in adopt(): the block can not be freed meanwhile, because
  /// it is held, owned or referred to. Throws: std::bad_alloc.
  void hold(Number block) { add_lease(block, &Arena::hold); }
  /// The same, and the block belongs to nobody any more.
  void adopt(Number block) { add_lease(block, &Arena::adopt); }

  /// Asks `let_go` before the last lease goes, about the object at `offset` in the block. When it
  /// says no, the hold ends with the process. Of several such objects, one that is in front has the
  /// others in it, and speaks for them. REQUIRES: a lease of the block.
  void ask_before_release(Number block, LetGo let_go, std::uint32_t offset) {
    std::lock_guard const lock(mutex_);
    auto& account = account_of(block);
    if (account.let_go == nullptr || offset < account.offset) {
      account.let_go = let_go;
      account.offset = offset;
    }
  }

  /// One lease less.
  void release(Number block) noexcept {
    try {
      drop_lease(block);
    } catch (std::exception const&) {  // the hold ends with the process, or with a later burial
    }
    vault_.tidy();
  }

 private:
  [[gnu::noinline]] static Heap& make_instance() {
    os::ForkGateGuard const gate;  // no fork finds it half made
    if (auto* const heap = current().load()) return *heap;
    register_handlers();
    // Among the other static objects: a fork has parent and child write to them in any case, and
    // each of both copy every page that it writes to.
    alignas(Heap) static constinit std::array<std::byte, sizeof(Heap)> room{};
    auto admission = Admission::of_this_process();
    auto* const heap =
        admission ? new (room.data()) Heap(std::move(*admission)) : new (room.data()) Heap;
    current() = heap;
    return *heap;
  }

  /// What this process has of a block.
  struct Account {
    std::uint32_t leases = 0;
    std::uint32_t offset = 0;
    LetGo let_go = nullptr;
  };

  // More than any machine has, and little beside the 128 TiB that a process may address.
  static constexpr std::uint64_t kReservation = std::uint64_t{1} << 40;

  /// REQUIRES: mutex_.
  Account& account_of(Number block) {
    if (block >= accounts_.size()) accounts_.resize(std::size_t{block} + 1);
    return accounts_[block];
  }

  template <class Allocate>
  Number with_a_lease(LetGo let_go, Allocate const& allocate) {
    vault_.tidy();
    std::lock_guard const lock(mutex_);
    Number const block = allocate();
    try {
      account_of(block) = {.leases = 1, .let_go = let_go};
    } catch (...) {
      arena_.release(me(), block);
      throw;
    }
    return block;
  }
  void drop_lease(Number block) {
    std::lock_guard const lock(mutex_);
    auto& account = account_of(block);
    if (--account.leases > 0) return;
    if (account.let_go != nullptr && !account.let_go(arena_.data(block) + account.offset)) return;
    account.let_go = nullptr;
    arena_.release(me(), block);
  }
  void add_lease(Number block, void (Arena::*keep)(Number me, Number block)) {
    std::lock_guard const lock(mutex_);
    auto& account = account_of(block);
    (arena_.*keep)(me(), block);
    ++account.leases;
  }

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
  Vault vault_;
  std::mutex mutex_;
  std::vector<Account> accounts_;  // by block; guarded by mutex_
  std::atomic<Number> me_{Arena::kNobody};
};

/// A block that can not be freed meanwhile, because somebody holds, owns or refers to it.
struct InUse {
  Number block;
};
/// The same; it belongs to nobody any more once there is a lease of it.
struct Adopted {
  Number block;
};

/// Addresses for so many bytes, see Arena::reserve().
struct Reserved {
  std::uint64_t size;
};

/// Keeps one block in this process. Its copies in forked children keep it there.
class Lease {
 public:
  /// Throws, here and below: std::bad_alloc, std::system_error when there is no heap yet.
  explicit Lease(std::uint64_t size, Content content = Content::Zeros, Heap::LetGo let_go = nullptr)
      : heap_(&Heap::instance()), block_(heap_->allocate(size, content, let_go)) {}
  explicit Lease(Reserved addresses)
      : heap_(&Heap::instance()), block_(heap_->reserve(addresses.size)) {}
  explicit Lease(InUse other) : heap_(&Heap::instance()), block_(other.block) {
    heap_->hold(block_);
  }
  explicit Lease(Adopted other) : heap_(&Heap::instance()), block_(other.block) {
    heap_->adopt(block_);
  }
  Lease(Lease const&) = delete;
  Lease& operator=(Lease const&) = delete;
  ~Lease() { heap_->release(block_); }

  Number block() const noexcept { return block_; }
  std::byte* data() const noexcept { return heap_->arena().data(block_); }
  std::uint64_t size() const noexcept { return heap_->arena().size(block_); }
  std::uint64_t id() const noexcept { return heap_->arena().id(block_); }

 private:
  Heap* heap_;
  Number block_;
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
    auto lease = std::make_shared<Lease const>(sizeof(T) + extra, Content::Zeros, let_go());
    auto* const object = new (lease->data()) T(std::forward<Arguments>(arguments)...);
    return Shared(std::move(lease), object);
  }

  /// A handle of an object that is there already. REQUIRES: a T lies at `offset` in the block.
  static Shared at(std::shared_ptr<Lease const> lease, std::uint32_t offset) {
    if (let_go() != nullptr) Heap::instance().ask_before_release(lease->block(), let_go(), offset);
    auto* const object = std::launder(reinterpret_cast<T*>(lease->data() + offset));
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

  /// What keeps the object, and where in its block the object lies.
  std::shared_ptr<Lease const> const& lease() const noexcept { return lease_; }
  std::uint32_t offset() const noexcept {
    return static_cast<std::uint32_t>(reinterpret_cast<std::byte*>(object_) - lease_->data());
  }

  /// Whether both are the same object.
  friend bool operator==(Shared const& a, Shared const& b) noexcept {
    return a.object_ == b.object_;
  }

 private:
  template <class>
  friend class Shared;

  static constexpr Heap::LetGo let_go() noexcept {
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
