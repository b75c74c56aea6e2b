// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/parcel.hpp>

#include <memory>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace parcel_test {

using multiprocessing::UnpicklingError;
using multiprocessing::shm::InUse;
using multiprocessing::shm::Lease;
using multiprocessing::wire::Parcel;

TEST_CASE("a parcel has what was put into it, a block once", "[parcel]") {
  Parcel parcel;
  CHECK(parcel.empty());
  auto const first = std::make_shared<Lease const>(100);
  auto const second = std::make_shared<Lease const>(100);
  auto const again = std::make_shared<Lease const>(InUse{first->block()});
  CHECK(parcel.add(first) == 0);
  CHECK(parcel.add(second) == 1);
  CHECK(parcel.add(first) == 0);
  CHECK(parcel.add(again) == 0);
  CHECK(parcel.leases().size() == 2);
  CHECK(parcel.lease(1) == second);
  CHECK_FALSE(parcel.empty());
}

TEST_CASE("what did not come with a message is not found", "[parcel]") {
  Parcel const parcel({std::make_shared<Lease const>(100)});
  CHECK(parcel.lease(0)->size() >= 100);
  for (std::uint32_t const place : {1U, 2U, UINT32_MAX}) {
    CHECK(support::message_of<UnpicklingError>([&] { parcel.lease(place); }) ==
          "decoding meets a shared object that did not come with the message");
  }
}

}  // namespace parcel_test
