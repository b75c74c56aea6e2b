// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/inheritance.hpp>

#include <memory>

#include "../support/catch.hpp"

namespace inheritance_test {

using namespace multiprocessing::channel;

namespace {

struct Ring : Heirloom {
  bool is_given_up = false;
  void give_up() noexcept override { is_given_up = true; }
};
std::shared_ptr<Ring> make_ring() {
  auto ring = std::make_shared<Ring>();
  register_heirloom(ring);
  return ring;
}

}  // namespace

TEST_CASE("what was not handed on is given up, what was is kept", "[inheritance]") {
  auto const kept = make_ring();
  auto const left = make_ring();
  auto gone = make_ring();
  gone.reset();
  Collector collector;
  note_handle(kept);
  note_handle(kept);
  note_handle(nullptr);
  keep_only(collector.take());
  CHECK_FALSE(kept->is_given_up);
  CHECK(left->is_given_up);
}

TEST_CASE("a collector collects what is copied while it lives, the innermost first",
          "[inheritance]") {
  auto const ring = make_ring();
  note_handle(ring);  // nobody wants to know
  Collector outer;
  {
    Collector inner;
    note_handle(ring);
    CHECK(inner.take().size() == 1);
  }
  CHECK(outer.take().empty());
  note_handle(ring);
  auto const collected = outer.take();
  REQUIRE(collected.size() == 1);
  CHECK(collected.front().lock() == ring);
}

}  // namespace inheritance_test
