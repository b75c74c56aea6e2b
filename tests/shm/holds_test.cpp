// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/holds.hpp>

#include <new>

#include "../support/catch.hpp"

namespace holds_test {

using multiprocessing::shm::ArenaLayout;
using multiprocessing::shm::Holds;
using multiprocessing::shm::Number;
using multiprocessing::shm::Participant;
using multiprocessing::shm::Segment;

namespace {
constexpr Number kFar = 1'000'000;

/// Three participants.
struct Fixture {
  Segment segment{"test", std::uint64_t{2} << 30, std::uint64_t{2} << 30};
  Holds holds{segment};

  Fixture() {
    segment.commit({ArenaLayout::kTable, ArenaLayout::kPage});
    for (Number who = 0; who < 3; ++who) {
      new (segment.at<Participant>(ArenaLayout::kTable) + who) Participant;
    }
  }
};
}  // namespace

TEST_CASE("holds are set and taken away one by one", "[arena]") {
  Fixture f;
  CHECK_FALSE(f.holds.try_add(1, 5));  // no memory for it yet
  f.holds.add(1, 5);
  CHECK(f.holds.try_add(1, 6));
  CHECK(f.holds.try_add(1, 6));
  CHECK_FALSE(f.holds.try_add(1, kFar));
  f.holds.add(1, kFar);
  CHECK(f.holds.of_64(1, 40) == (1U << 5 | 1U << 6));
  CHECK(f.holds.holds(1, kFar));
  for (Number const other : {Number{0}, Number{2}}) {
    CHECK_FALSE(f.holds.holds(other, 5));
    CHECK_FALSE(f.holds.holds(other, kFar));
    f.holds.remove(other, kFar);
  }
  CHECK_FALSE(f.holds.holds(1, kFar - 1));
  f.holds.remove(1, 5);
  CHECK_FALSE(f.holds.holds(1, 5));
  CHECK(f.holds.holds(1, 6));
}

TEST_CASE("holds are copied to a child and cleared", "[arena]") {
  Fixture f;
  for (Number const block : {0U, 63U, 64U, 99'999U, kFar}) f.holds.add(0, block);
  f.holds.copy(0, 1, 100'000);
  for (Number const block : {0U, 63U, 64U, 99'999U}) CHECK(f.holds.holds(1, block));
  CHECK_FALSE(f.holds.holds(1, kFar));  // does not exist yet
  f.holds.clear(0);
  for (Number const block : {0U, 63U, 64U, 99'999U, kFar}) CHECK_FALSE(f.holds.holds(0, block));
  CHECK(f.holds.holds(1, 0));
  f.holds.copy(2, 1, 100'000);  // holds nothing
  CHECK(f.holds.holds(1, 0));
}

}  // namespace holds_test
