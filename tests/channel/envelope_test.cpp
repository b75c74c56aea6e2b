// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/envelope.hpp>

#include <array>
#include <cstddef>
#include <memory>

#include <multiprocessing/shm/heap.hpp>

#include "../support/catch.hpp"

using namespace multiprocessing::channel;
namespace shm = multiprocessing::shm;
namespace wire = multiprocessing::wire;

namespace envelope_test {

TEST_CASE("an envelope keeps what is in it, and gives it out again", "[envelope]") {
  auto& arena = shm::Heap::instance().arena();
  auto const before = arena.used_blocks();
  std::array const text{std::byte{'a'}, std::byte{'b'}};
  auto object = std::make_shared<shm::Lease const>(100);
  auto const number = object->block();
  wire::Parcel parcel;
  parcel.add(object);
  auto envelope = enclose(text, parcel);
  parcel = {};
  object.reset();
  CHECK(arena.used_blocks() == before + 2);
  CHECK(envelope.lease->data()[envelope.offset + 1] == std::byte{'b'});
  {
    auto const out = enclosed_in(envelope.lease->block());
    REQUIRE(out.leases().size() == 1);
    CHECK(out.lease(0)->block() == number);
    envelope.lease.reset();
    CHECK(arena.used_blocks() == before + 1);
  }
  CHECK(arena.used_blocks() == before);
}

TEST_CASE("an envelope with bytes alone begins with them", "[envelope]") {
  std::array const text{std::byte{'a'}};
  auto const envelope = enclose(text, {});
  CHECK(envelope.offset == 0);
  CHECK(enclosed_in(envelope.lease->block()).empty());
}

}  // namespace envelope_test
