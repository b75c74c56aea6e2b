// SPDX-License-Identifier: BSL-1.0
// Memory for small objects of one type that come and go by the hundred thousand. The C library
// gives the memory of so many back to the system each time, and a fault for each page costs more
// than all that is done with the objects.
#pragma once

#include <atomic>
#include <cstddef>
#include <new>

#include <multiprocessing/base/sanitizers.hpp>

namespace multiprocessing::base {

/// An allocator that keeps what was freed last, up to kMostKept objects of T a process.
/// Threads: safe, and never blocks: who finds another thread here does without. So it is for a
/// forked child, whatever the other threads of its parent were doing.
template <class T>
class RecyclingAllocator {
 public:
  using value_type = T;

  static constexpr std::size_t kMostKept = std::size_t{1} << 17;
  /// Under an address sanitizer nothing is kept, so that the use of freed objects is found.
  static constexpr bool kKeeps = !MULTIPROCESSING_ADDRESS_SANITIZER;

  RecyclingAllocator() = default;
  template <class U>
  RecyclingAllocator(RecyclingAllocator<U> const&) noexcept {}

  /// Throws: std::bad_alloc.
  T* allocate(std::size_t count) {
    if (count == 1 && kept_.try_lock()) {
      auto* const place = kept_.pop();
      kept_.unlock();
      if (place != nullptr) return static_cast<T*>(place);
    }
    return static_cast<T*>(::operator new(count * sizeof(T)));
  }
  void deallocate(T* place, std::size_t count) noexcept {
    if (count == 1 && kept_.try_lock()) {
      bool const is_kept = kept_.push(place);
      kept_.unlock();
      if (is_kept) return;
    }
    ::operator delete(place);
  }

  /// How many objects' memory is kept.
  static std::size_t kept() noexcept { return kept_.size(); }

  friend bool operator==(RecyclingAllocator, RecyclingAllocator) noexcept { return true; }

 private:
  static_assert(sizeof(T) >= sizeof(void*) && alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

  /// Freed memory, linked through itself. Never destroyed: static objects may free later.
  class Stack {
   public:
    bool try_lock() noexcept {
      return !is_locked_.load(std::memory_order_relaxed) &&
             !is_locked_.exchange(true, std::memory_order_acquire);  // pairs with unlock()
    }
    void unlock() noexcept { is_locked_.store(false, std::memory_order_release); }

    // REQUIRES: locked.
    void* pop() noexcept {
      auto* const node = top_;
      if (node == nullptr) return nullptr;
      top_ = node->next;
      size_.store(size() - 1, std::memory_order_relaxed);  // for who only looks
      return node;
    }
    bool push(void* place) noexcept {
      if (!kKeeps || size() == kMostKept) return false;
      top_ = new (place) Node{top_};
      size_.store(size() + 1, std::memory_order_relaxed);
      return true;
    }
    std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

   private:
    struct Node {
      Node* next;
    };

    std::atomic<bool> is_locked_{false};
    std::atomic<std::size_t> size_{0};
    Node* top_ = nullptr;
  };

  static inline constinit Stack kept_;
};

}  // namespace multiprocessing::base
