// SPDX-License-Identifier: BSL-1.0
// The distance that keeps two words out of each other's cache line.
#pragma once

#include <cstddef>

namespace multiprocessing::base {

/// 64 on x86-64 and on most aarch64. Fixed rather than taken from the compiler, whose answer may
/// change with its options, because it is part of the layout of shared segments.
inline constexpr std::size_t kCacheLine = 64;

}  // namespace multiprocessing::base
