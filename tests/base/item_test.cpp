// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/item.hpp>

#include <array>
#include <cstddef>

#include "../support/catch.hpp"

namespace item_test {

using multiprocessing::base::Item;

namespace {
struct Numbers {
  int at(std::size_t index) const { return (*numbers)[index]; }
  void set(std::size_t index, int value) const { (*numbers)[index] = value; }
  std::array<int, 3>* numbers;
};
using Place = Item<Numbers, std::size_t, int>;
}  // namespace

TEST_CASE("an item reads and writes where it came from", "[item]") {
  std::array<int, 3> storage{1, 2, 3};
  Numbers const numbers{&storage};
  Place const first(numbers, 0);
  Place const last(numbers, 2);
  CHECK(first.value() == 1);
  int const read = last;
  CHECK(read == 3);
  last = 7;
  CHECK(storage[2] == 7);
  first = last;  // the value, not the place
  CHECK(storage[0] == 7);
  CHECK(first == last);
  CHECK(first == 7);
  storage[0] = 8;
  CHECK(first == 8);
}

}  // namespace item_test
