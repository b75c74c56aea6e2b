// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/next_iterator.hpp>

#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../support/catch.hpp"

namespace next_iterator_test {

using multiprocessing::base::NextIterator;

namespace {

struct Countdown {
  using Value = std::unique_ptr<int>;  // can only be moved

  std::optional<Value> next() {
    if (left == 0) return std::nullopt;
    return std::make_unique<int>(left--);
  }
  auto begin() { return NextIterator<Countdown, Value>(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

  int left;
};

static_assert(std::input_iterator<NextIterator<Countdown, Countdown::Value>>);

}  // namespace

TEST_CASE("each is met once, in order, and can be taken away", "[next_iterator]") {
  Countdown countdown{3};
  std::vector<std::unique_ptr<int>> met;
  for (auto& each : countdown) met.push_back(std::move(each));
  REQUIRE(met.size() == 3);
  CHECK(*met[0] == 3);
  CHECK(*met[2] == 1);
}

TEST_CASE("the first is taken when iteration begins, no other before it is asked for",
          "[next_iterator]") {
  Countdown countdown{3};
  auto place = countdown.begin();
  CHECK(countdown.left == 2);
  CHECK(**place == 3);
  ++place;
  CHECK(countdown.left == 1);
  auto const moved = std::move(place);
  CHECK(**moved == 2);
}

TEST_CASE("what gives nothing is at its end", "[next_iterator]") {
  Countdown none{0};
  CHECK(none.begin() == none.end());
  CHECK(NextIterator<Countdown, Countdown::Value>() == std::default_sentinel);
}

}  // namespace next_iterator_test
