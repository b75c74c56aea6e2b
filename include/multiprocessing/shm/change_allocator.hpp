// SPDX-License-Identifier: BSL-1.0
// Allocators for Boost's containers, which take what they need from the memory of the container
// that the calling thread changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <boost/interprocess/containers/allocation_type.hpp>
#include <boost/interprocess/containers/version_type.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <multiprocessing/shm/current_change.hpp>
#include <multiprocessing/shm/noting_pointer.hpp>

namespace multiprocessing::shm {

/// For nodes, whose pointers note themselves. All are equal. REQUIRES: a current change.
template <class T>
class NodeAllocator {
 public:
  static_assert(alignof(T) <= ChangingMemory::kAlignment);

  using value_type = T;
  using pointer = NotingPointer<T>;
  using const_pointer = NotingPointer<T const>;
  using void_pointer = NotingPointer<void>;
  using const_void_pointer = NotingPointer<void const>;
  template <class U>
  struct rebind {
    using other = NodeAllocator<U>;
  };

  NodeAllocator() noexcept = default;
  template <class U>
  NodeAllocator(NodeAllocator<U> const&) noexcept {}

  /// Throws: std::bad_alloc.
  pointer allocate(std::size_t count) {
    if (count > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(CurrentChange::of_this_thread().take(count * sizeof(T)));
  }
  void deallocate(pointer const& piece, std::size_t count) noexcept {
    CurrentChange::of_this_thread().give_back(piece.get(), count * sizeof(T));
  }

  friend bool operator==(NodeAllocator const&, NodeAllocator const&) noexcept { return true; }
};

/// For what lies in one piece: that grows where it is, while nothing lies behind it. All are equal.
/// REQUIRES: a current change.
template <class T>
class PieceAllocator {
 public:
  static_assert(alignof(T) <= ChangingMemory::kAlignment);

  using value_type = T;
  using size_type = std::size_t;
  using pointer = boost::interprocess::offset_ptr<T>;
  using const_pointer = boost::interprocess::offset_ptr<T const>;
  using void_pointer = boost::interprocess::offset_ptr<void>;
  using const_void_pointer = boost::interprocess::offset_ptr<void const>;
  template <class U>
  struct rebind {
    using other = PieceAllocator<U>;
  };
  /// Boost's name for allocators with allocation_command().
  using version = boost::interprocess::version_type<PieceAllocator, 2>;
  struct multiallocation_chain {};  // it wants the name, for nodes, of which there are none

  PieceAllocator() noexcept = default;
  template <class U>
  PieceAllocator(PieceAllocator<U> const&) noexcept {}

  /// Throws: std::bad_alloc.
  pointer allocate(std::size_t count) {
    return static_cast<T*>(CurrentChange::of_this_thread().take(bytes(count)));
  }
  void deallocate(pointer const& piece, std::size_t count) noexcept {
    CurrentChange::of_this_thread().give_back(piece.get(), count * sizeof(T));
  }

  /// Extends `reuse`, or takes a new piece, and `reuse` is null then. `received`: what it should
  /// have, and has in the end: `least` at least. Null: it was not to be a new piece. Throws:
  /// std::bad_alloc.
  pointer allocation_command(boost::interprocess::allocation_type command, std::size_t least,
                             std::size_t& received, pointer& reuse) {
    try {
      return allocate(command, received, received, reuse);
    } catch (std::bad_alloc const&) {
      if (received == least) throw;
      return allocate(command, least, received, reuse);
    }
  }

 private:
  pointer allocate(boost::interprocess::allocation_type command, std::size_t count,
                   std::size_t& received, pointer& reuse) {
    auto const& change = CurrentChange::of_this_thread();
    pointer piece = nullptr;
    if ((command & boost::interprocess::expand_fwd) != 0 && reuse &&
        change.extend(reuse.get(), bytes(count))) {
      piece = reuse;
    } else if ((command & boost::interprocess::allocate_new) != 0) {
      piece = static_cast<T*>(change.take(bytes(count)));
      reuse = nullptr;
    }
    received = CurrentChange::rounded(bytes(count)) / sizeof(T);
    return piece;
  }

  static std::size_t bytes(std::size_t count) {
    if (count > PTRDIFF_MAX / sizeof(T)) throw std::bad_alloc();
    return count * sizeof(T);
  }

  friend bool operator==(PieceAllocator const&, PieceAllocator const&) noexcept { return true; }
};

}  // namespace multiprocessing::shm
