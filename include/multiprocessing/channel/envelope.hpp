// SPDX-License-Identifier: BSL-1.0
// Messages in blocks of their own: the block refers to the shared objects that go with it, and
// keeps them as long as anybody keeps the block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/channel/frame.hpp>
#include <multiprocessing/os/copy.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::channel {

/// Room for a message. Throws: std::bad_alloc.
inline Enclosed make_block(std::uint64_t size, std::uint64_t offset = 0) {
  return {std::make_shared<shm::Lease const>(offset + size, shm::Content::Any), offset};
}

/// A copy of `bytes`, and what is in `parcel`. Throws: std::bad_alloc.
inline Enclosed enclose(std::span<std::byte const> bytes, wire::Parcel const& parcel) {
  std::vector<shm::Number> references;
  for (auto const& lease : parcel.leases()) references.push_back(lease->block());
  auto enclosed = make_block(
      bytes.size(), references.empty() ? 0 : shm::Arena::references_size(references.size()));
  os::copy_for_others(enclosed.lease->data() + enclosed.offset, bytes.data(), bytes.size());
  if (!references.empty()) {
    shm::Heap::instance().arena().refer(enclosed.lease->block(), references);
  }
  return enclosed;
}

/// The bytes that enclose() has put into a block, `size` of them. REQUIRES, here and below: the
/// block can not be freed meanwhile.
inline std::span<std::byte const> bytes_in(shm::Number block, std::uint64_t size) {
  auto const& arena = shm::Heap::instance().arena();
  auto const references = arena.references_of(block).size();
  auto const offset = references == 0 ? 0 : shm::Arena::references_size(references);
  return {arena.data(block) + offset, size};
}

/// What the block of a message refers to. Throws: std::bad_alloc.
inline wire::Parcel enclosed_in(shm::Number envelope) {
  std::vector<wire::Parcel::Lease> leases;
  for (auto const block : shm::Heap::instance().arena().references_of(envelope)) {
    leases.push_back(std::make_shared<shm::Lease const>(shm::InUse{block}));
  }
  return wire::Parcel(std::move(leases));
}

}  // namespace multiprocessing::channel
