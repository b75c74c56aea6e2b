// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/size_class.hpp>

#include <vector>

#include "../support/catch.hpp"

namespace size_class_test {

using multiprocessing::base::kCacheLine;
using multiprocessing::shm::SizeClass;

namespace {
/// All that is small, and the neighbourhood of every power of two and of what lies between.
std::vector<std::uint64_t> sizes() {
  std::vector<std::uint64_t> result;
  for (std::uint64_t size = 0; size <= 5000; ++size) result.push_back(size);
  for (auto power = std::uint64_t{1} << 13; power < SizeClass::kLargest; power *= 2) {
    for (std::uint64_t eighth = 8; eighth < 16; ++eighth) {
      for (int by = -1; by <= 1; ++by) {
        result.push_back(power / 8 * eighth + static_cast<std::uint64_t>(by));
      }
    }
  }
  result.push_back(SizeClass::kLargest);
  return result;
}
}  // namespace

TEST_CASE("a block holds what was asked for in whole cache lines", "[size_class]") {
  for (auto const size : sizes()) {
    auto const block = SizeClass::of(size).size();
    REQUIRE(block >= size);
    REQUIRE(block >= kCacheLine);
    REQUIRE(block % kCacheLine == 0);
  }
}

TEST_CASE("at most a fifth of a block is wasted beyond four cache lines", "[size_class]") {
  for (auto const size : sizes()) {
    auto const block = SizeClass::of(size).size();
    if (size > 4 * kCacheLine) {
      REQUIRE(block - size <= block / 5);
    } else {
      REQUIRE(block - size <= kCacheLine);
    }
  }
}

TEST_CASE("a larger size never has a smaller class", "[size_class]") {
  std::uint64_t last_size = 0;
  std::uint32_t last_index = 0;
  for (auto const size : sizes()) {
    REQUIRE(size >= last_size);
    REQUIRE(SizeClass::of(size).index() >= last_index);
    last_size = size;
    last_index = SizeClass::of(size).index();
  }
}

TEST_CASE("the size of a class is of that class and one more byte of the next", "[size_class]") {
  auto const last = SizeClass::of(SizeClass::kLargest).index();
  for (std::uint32_t index = 0; index <= last; ++index) {
    auto const size_class = SizeClass::at(index);
    REQUIRE(size_class.index() == index);
    REQUIRE(SizeClass::of(size_class.size()).index() == index);
    REQUIRE(SizeClass::of(size_class.size() - 1).index() == index);
    if (index < last) REQUIRE(SizeClass::of(size_class.size() + 1).index() == index + 1);
  }
}

TEST_CASE("every class has a size and the largest request has a class", "[size_class]") {
  for (std::uint32_t index = 1; index < SizeClass::kCount; ++index) {
    REQUIRE(SizeClass::at(index).size() > SizeClass::at(index - 1).size());
  }
  CHECK(SizeClass::of(SizeClass::kLargest).size() >= SizeClass::kLargest);
  CHECK(SizeClass::of(SizeClass::kLargest).index() < SizeClass::kCount);
}

}  // namespace size_class_test
