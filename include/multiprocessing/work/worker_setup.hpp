// SPDX-License-Identifier: BSL-1.0
// Where and how eagerly a pool's workers run.
#pragma once

#include <sched.h>

#include <cstdint>
#include <optional>
#include <vector>

#include <multiprocessing/os/scheduling.hpp>
#include <multiprocessing/work/processors_share.hpp>

namespace multiprocessing::work {

/// Lives in a segment.
struct WorkerSetup {
  bool has_cpus = false;
  bool has_nice = false;
  std::int32_t nice = 0;
  std::int32_t processors = 1;  ///< which all workers share
  cpu_set_t cpus{};

  /// Throws: std::system_error for a number that no processor has.
  static WorkerSetup of(std::vector<int> const& cpus, std::optional<int> nice) {
    WorkerSetup setup;
    setup.has_cpus = !cpus.empty();
    if (setup.has_cpus) setup.cpus = os::processor_set(cpus);
    setup.has_nice = nice.has_value();
    setup.nice = nice.value_or(0);
    return setup;
  }

  /// In one of `workers`. Throws: std::system_error, which names the call and the value.
  void apply(int workers) const {
    processors_share() = share_among(processors, workers);
    if (has_nice) os::set_nice(nice);
    if (has_cpus) os::run_on(cpus);
  }
};

}  // namespace multiprocessing::work
