// SPDX-License-Identifier: BSL-1.0
// What was measured, as a line of JSON.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "plan.hpp"

namespace bench {

using Clock = std::chrono::steady_clock;

/// The processor's own clock, where reading steady_clock would be a good part of what is measured.
inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
#endif
}

/// In shared memory; what a case does not measure is 0.
struct Result {
  std::uint64_t samples;  ///< round trips
  double mean;            ///< nanoseconds, as are the percentiles
  double p50;
  double p99;   ///< of 100 samples at least
  double p999;  ///< of 1000 samples at least
  double messages_per_second;
  double processor_share;  ///< 1: a whole processor

  std::string json(std::string_view peer, Plan const& plan) const {
    std::ostringstream out;
    out << R"({"case": ")" << name_of(plan.what) << R"(", "peer": ")" << peer << R"(", "size": )"
        << plan.size << R"(, "producers": )" << plan.producers << R"(, "consumers": )"
        << plan.consumers;
    auto const field = [&](char const* name, double value, bool is_there) {
      if (is_there) out << ", \"" << name << "\": " << value;
    };
    field("samples", static_cast<double>(samples), samples > 0);
    field("mean_ns", mean, samples > 0);
    field("p50_ns", p50, samples > 0);
    field("p99_ns", p99, samples >= 100);
    field("p999_ns", p999, samples >= 1000);
    field("messages_per_second", messages_per_second, messages_per_second > 0);
    field("processor_share", processor_share, plan.what == Case::Idle);
    out << '}';
    return out.str();
  }
};

/// Times of round trips, in memory that is there before the first.
class Samples {
 public:
  Samples() : ticks_(kMost) {}

  /// While there is room.
  void add(std::uint64_t elapsed) noexcept {
    if (count_ == kMost) return;
    constexpr std::uint64_t kLongest = std::numeric_limits<std::uint32_t>::max();
    ticks_[count_++] = static_cast<std::uint32_t>(std::min(elapsed / kUnit, kLongest));
  }

  void write_to(Result& result) {
    ticks_.resize(count_);
    std::sort(ticks_.begin(), ticks_.end());
    double const unit = kUnit * nanoseconds_per_tick();
    auto const percentile = [&](double share) {
      auto const index = static_cast<std::size_t>(share * static_cast<double>(count_));
      return unit * ticks_.at(std::min(index, count_ - 1));
    };
    result.samples = count_;
    result.mean =
        unit * std::accumulate(ticks_.begin(), ticks_.end(), 0.0) / static_cast<double>(count_);
    result.p50 = percentile(0.5);
    result.p99 = percentile(0.99);
    result.p999 = percentile(0.999);
  }

 private:
  static constexpr std::size_t kMost = std::size_t{1} << 22;  // of half a second at 120 ns
  static constexpr std::uint64_t kUnit = 4;  // ticks: 32 bits are enough for some seconds

  double nanoseconds_per_tick() const {
    std::chrono::duration<double, std::nano> const elapsed = Clock::now() - began_;
    return elapsed.count() / static_cast<double>(ticks() - began_ticks_);
  }

  std::vector<std::uint32_t> ticks_;
  std::size_t count_ = 0;
  Clock::time_point began_ = Clock::now();
  std::uint64_t began_ticks_ = ticks();
};

}  // namespace bench
