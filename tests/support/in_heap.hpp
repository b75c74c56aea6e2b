// SPDX-License-Identifier: BSL-1.0
// An object in a block of the heap, for what must know the block that it lives in.
#pragma once

#include <memory>
#include <new>
#include <utility>

#include <multiprocessing/shm/heap.hpp>

namespace support {

/// Children that are forked while it lives have the same object.
template <class T>
class InHeap {
 public:
  /// The object's first argument is the id of its block.
  template <class... Arguments>
  explicit InHeap(Arguments&&... arguments)
      : lease_(sizeof(T)),
        object_(new (lease_.data()) T(lease_.id(), std::forward<Arguments>(arguments)...)) {}

  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }

 private:
  multiprocessing::shm::Lease lease_;
  T* object_;
};

}  // namespace support
