// SPDX-License-Identifier: BSL-1.0
// What a message takes along beside its bytes: blocks of shared memory. The bytes name them by
// their place here, because a number of theirs means nothing by itself: a block must be kept by
// whoever carries the message.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::wire {

/// Threads: distinct objects safe.
class Parcel {
 public:
  using Lease = std::shared_ptr<shm::Lease const>;

  Parcel() = default;
  /// As it was when the message was written.
  explicit Parcel(std::vector<Lease> leases) : leases_(std::move(leases)) {}

  /// The place where it is then; a block that is there already keeps its own.
  std::uint32_t add(Lease const& lease) {
    auto const next = static_cast<std::uint32_t>(leases_.size());
    auto const [place, is_new] = places_.try_emplace(lease->block(), next);
    if (is_new) leases_.push_back(lease);
    return place->second;
  }

  /// Throws: UnpicklingError when the message has brought less.
  Lease const& lease(std::uint32_t place) const {
    if (place < leases_.size()) return leases_[place];
    throw UnpicklingError("decoding meets a shared object that did not come with the message");
  }

  std::span<Lease const> leases() const noexcept { return leases_; }
  bool empty() const noexcept { return leases_.empty(); }

 private:
  std::vector<Lease> leases_;
  std::map<shm::Number, std::uint32_t> places_;  // of blocks
};

}  // namespace multiprocessing::wire
