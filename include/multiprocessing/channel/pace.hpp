// SPDX-License-Identifier: BSL-1.0
// How one side of a lane goes: hints for those who wait for it, on which nothing else depends.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>

namespace multiprocessing::channel {

/// Lives inside a segment. Threads and processes: all members safe; what they tell is a guess while
/// several use this side.
class Pace {
 public:
  /// A message went, in the calling thread.
  void note() noexcept {
    run_.store(run_.load(kRelaxed) + 1, kRelaxed);
    int const processor = os::this_processor();
    if (processor_.load(kRelaxed) != processor) processor_.store(processor, kRelaxed);
  }

  /// How many went since this was called last.
  std::uint32_t take_run() noexcept {
    auto const run = run_.load(kRelaxed);
    run_.store(0, kRelaxed);
    return run;
  }

  /// Where the last one went, see AdaptiveSpin.
  int processor() const noexcept { return processor_.load(kRelaxed); }

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;  // nothing follows from them

  // written with every message by this side; the other one written seldom, and read by the other
  // side before each wait
  alignas(base::kCacheLine) std::atomic<std::uint32_t> run_{0};
  alignas(base::kCacheLine) std::atomic<int> processor_{sync::AdaptiveSpin::kAnywhere};
};

}  // namespace multiprocessing::channel
