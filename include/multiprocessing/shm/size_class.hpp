// SPDX-License-Identifier: BSL-1.0
// Sizes that blocks of an arena come in: four steps a doubling, so that what was freed fits again
// and no block is ever split or joined.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>

namespace multiprocessing::shm {

/// A class of blocks; beyond four cache lines at most a fifth of a block is not used.
class SizeClass {
 public:
  /// The smallest class whose blocks hold `size` bytes. REQUIRES: size <= kLargest.
  static constexpr SizeClass of(std::uint64_t size) noexcept {
    auto const lines = size == 0 ? 1 : (size - 1) / base::kCacheLine + 1;
    // 1 to 4 lines: exact. Beyond: the three highest bits, rounded up.
    if (lines <= kSteps) return SizeClass(static_cast<std::uint32_t>(lines - 1));
    auto const shift = static_cast<std::uint32_t>(std::bit_width(lines - 1)) - 3;
    auto const steps = ((lines - 1) >> shift) + 1;  // kSteps + 1 .. 2 * kSteps
    return SizeClass(kSteps * (shift + 1) + static_cast<std::uint32_t>(steps) - kSteps - 1);
  }

  /// Bytes of a block; a multiple of a cache line.
  constexpr std::uint64_t size() const noexcept {
    if (index_ < kSteps) return (index_ + 1) * base::kCacheLine;
    auto const shift = index_ / kSteps - 1;
    return ((std::uint64_t{kSteps} + 1 + index_ % kSteps) << shift) * base::kCacheLine;
  }

  /// REQUIRES: index < kCount.
  static constexpr SizeClass at(std::uint32_t index) noexcept { return SizeClass(index); }

  constexpr std::uint32_t index() const noexcept { return index_; }

  static constexpr std::uint64_t kLargest = std::uint64_t{1} << 56;
  static constexpr std::uint32_t kCount = 4 * 52;

 private:
  static constexpr std::uint32_t kSteps = 4;

  constexpr explicit SizeClass(std::uint32_t index) noexcept : index_(index) {}

  std::uint32_t index_;
};
static_assert(SizeClass::of(SizeClass::kLargest).index() < SizeClass::kCount);

}  // namespace multiprocessing::shm
