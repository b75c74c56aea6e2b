// SPDX-License-Identifier: BSL-1.0
// The tasks that ranks have and have not answered. Who gives a task up lets its entry be used again
// at once, while the rank still has the old one: so they are known by generation, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::mpi {

/// What the first rank knows of a task that another has.
struct Flight {
  std::size_t rank = 0;     ///< index
  std::uint64_t bytes = 0;  ///< of its input
};

/// Threads: one. Complexity: constant.
class Flights {
 public:
  /// REQUIRES: `id` is not among them. Throws: std::bad_alloc.
  void add(work::TaskId id, Flight flight) {
    if (id.index >= latest_.size()) latest_.resize(2 * std::size_t{id.index} + 64);
    auto& place = latest_[id.index];
    if (place.generation != 0) {
      older_.emplace(work::TaskId{place.generation, id.index}.pack(), place.flight);
    }
    place = {id.generation, flight};
    ++size_;
  }

  /// Null: no rank has it. Valid until the next change.
  Flight const* find(work::TaskId id) const {
    if (id.index < latest_.size() && latest_[id.index].generation == id.generation) {
      return &latest_[id.index].flight;
    }
    auto const found = older_.find(id.pack());
    return found == older_.end() ? nullptr : &found->second;
  }

  /// Removes it; nullopt: no rank has it.
  std::optional<Flight> take(work::TaskId id) {
    auto const* const found = find(id);
    if (found == nullptr) return std::nullopt;
    auto const flight = *found;
    if (older_.erase(id.pack()) == 0) latest_[id.index] = {};
    --size_;
    return flight;
  }

  /// Removes all; those whose entries may still be theirs. Complexity: linear.
  std::vector<work::TaskId> take_latest() {
    std::vector<work::TaskId> ids;
    for (std::uint32_t index = 0; index < latest_.size(); ++index) {
      if (latest_[index].generation != 0) ids.push_back({latest_[index].generation, index});
    }
    *this = {};
    return ids;
  }

  std::size_t size() const noexcept { return size_; }

 private:
  struct Place {
    std::uint32_t generation = 0;  // 0: none
    Flight flight;
  };

  std::vector<Place> latest_;                        // by the index of the entry
  std::unordered_map<std::uint64_t, Flight> older_;  // by what their ids pack to
  std::size_t size_ = 0;
};

}  // namespace multiprocessing::mpi
