// SPDX-License-Identifier: BSL-1.0
// What users say of a pool or executor, checked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/processors_share.hpp>
#include <multiprocessing/work/submit.hpp>
#include <multiprocessing/work/worker_setup.hpp>

namespace multiprocessing::work {

/// How many workers a pool has by default: what this process may use of the machine, which a pool's
/// worker shares with the others. Threads: safe.
inline int default_workers() noexcept {
  auto const share = processors_share().load();
  return share != 0 ? share : os::usable_processors();
}

/// The same, of a pool whose workers run on `cpus`, if that names any.
inline int default_workers(std::vector<int> const& cpus) noexcept {
  auto const most = default_workers();
  return cpus.empty() ? most : std::min(most, static_cast<int>(cpus.size()));
}

/// `what`: the option that says how many workers. Throws: std::invalid_argument.
inline int checked_workers(char const* call, char const* what, int workers) {
  constexpr int kMost = Board::kMaxWorkers;
  if (workers >= 1 && workers <= kMost) return workers;
  throw std::invalid_argument(std::string(call) + ": " + what + " must be 1 to " +
                              std::to_string(kMost) + ", not " + std::to_string(workers));
}

/// From `said`, a PoolOptions or one with the same members but for the number of workers.
/// Throws: std::invalid_argument; std::system_error for processors that can not be.
template <class Options>
Crew::Options crew_options(char const* call, int workers, Options const& said) {
  auto const count = [&](char const* what, std::optional<int> value, int least) {
    if (!value) return UINT32_MAX;
    return static_cast<std::uint32_t>(at_least(call, what, *value, least));
  };
  Crew::Options crew{workers};
  crew.method = said.start_method.value_or(launch::DefaultMethod::instance().get());
  crew.initializer = said.initializer;
  if (said.max_tasks_per_child) {
    crew.max_tasks_per_child = count("max_tasks_per_child", said.max_tasks_per_child, 1);
  }
  if (said.max_memory_per_task) crew.max_memory_per_task = *said.max_memory_per_task;
  crew.quarantine_after = count("quarantine_after", said.quarantine_after, 1);
  crew.restart_limit.intensity = count("restart_intensity", said.restart_intensity, 0);
  crew.restart_limit.period_ms =
      milliseconds_of(call, "restart_period, in milliseconds,", said.restart_period, 1);
  crew.setup = WorkerSetup::of(said.cpus, said.nice);
  crew.setup.processors = default_workers(said.cpus);
  return crew;
}

}  // namespace multiprocessing::work
