// SPDX-License-Identifier: BSL-1.0
// An object in memory that children share, for what lives inside a segment.
#pragma once

#include <new>
#include <utility>

#include <multiprocessing/shm/segment.hpp>

namespace support {

template <class T>
class InSharedMemory {
 public:
  /// Followed by zeros, up to the next page and one more.
  template <class... Arguments>
  explicit InSharedMemory(Arguments&&... arguments) : segment_("test", kSize, kSize) {
    segment_.commit({kPlace, kSize - kPlace});
    object_ = new (segment_.data(kPlace)) T(std::forward<Arguments>(arguments)...);
  }

  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }

 private:
  static constexpr std::uint64_t kPlace = 4096;
  static constexpr std::uint64_t kSize = 2 * kPlace + ((sizeof(T) + kPlace - 1) & ~(kPlace - 1));

  multiprocessing::shm::Segment segment_;
  T* object_;
};

}  // namespace support
