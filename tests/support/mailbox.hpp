// SPDX-License-Identifier: BSL-1.0
// Carries values with shared objects between processes that were forked after it was made, in the
// simplest way.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/pickle.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/parcel.hpp>

#include "helpers.hpp"

namespace support {

namespace shm = multiprocessing::shm;
namespace wire = multiprocessing::wire;

/// As it arrives, in the same process.
template <class T>
T parcelled(T const& value) {
  multiprocessing::Bytes bytes;
  wire::Parcel parcel;
  wire::encode(bytes, value, parcel);
  std::span<std::byte const> rest(bytes);
  T result = wire::decode<T>(rest, parcel);
  if (!rest.empty()) throw multiprocessing::Error("parcelled: something is left behind the value");
  return result;
}

/// Holds one message.
class Mailbox {
 public:
  Mailbox() : letter_(shm::Shared<shm::Number>::make(0, shm::Number{0})) {}

  template <class T>
  void put(T const& value) const {
    multiprocessing::Bytes bytes;
    wire::Parcel parcel;
    wire::encode(bytes, value, parcel);
    std::vector<shm::Number> blocks;
    for (auto const& lease : parcel.leases()) blocks.push_back(lease->block());
    auto const text = shm::Arena::references_size(blocks.size());
    shm::Lease const envelope(text + bytes.size(), shm::Content::Any);
    std::memcpy(envelope.data() + text, bytes.data(), bytes.size());
    arena().refer(envelope.block(), blocks);
    arena().give(envelope.block(), letter_.id());
    *letter_ = envelope.block();
    full_.tell();
  }

  /// Blocks: until there is one.
  template <class T>
  T take() const {
    full_.hear();
    shm::Lease const envelope(shm::Adopted{*letter_});
    std::vector<wire::Parcel::Lease> leases;
    for (auto const block : arena().references_of(envelope.block())) {
      leases.push_back(std::make_shared<shm::Lease const>(shm::InUse{block}));
    }
    auto const text = shm::Arena::references_size(leases.size());
    wire::Parcel const parcel(std::move(leases));
    std::span<std::byte const> bytes(envelope.data() + text, envelope.size() - text);
    return wire::decode<T>(bytes, parcel);
  }

 private:
  static shm::Arena& arena() { return shm::Heap::instance().arena(); }

  shm::Shared<shm::Number> letter_;  // the number of its block
  Pipe full_;
};

}  // namespace support
