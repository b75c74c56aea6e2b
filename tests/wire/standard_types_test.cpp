// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/standard_types.hpp>

#include <multiprocessing/pickle.hpp>

#include "../support/catch.hpp"

namespace standard_types_test {

namespace mp = multiprocessing;

namespace {
struct Level {
  std::list<Level> list;
  std::deque<Level> deque;
  std::forward_list<Level> forward_list;
  std::vector<Level> vector;
};

struct Marker {
  int cache[16] = {};
  template <class Archive>
  void serialize(Archive&) {}
};

/// Every length says that all the rest are elements.
template <class T>
void check_takes_little_memory() {
  mp::Bytes bytes;
  for (std::uint64_t left = 8 * 4096; left != 0; left -= 8) {
    auto const length = left - 8;
    auto const* const first = reinterpret_cast<std::byte const*>(&length);
    bytes.insert(bytes.end(), first, first + sizeof length);
  }
  std::span<std::byte const> rest(bytes);
  CHECK_THROWS_AS(mp::wire::decode<T>(rest), mp::UnpicklingError);
}
}  // namespace

TEST_CASE("a length in a length in a length does not multiply", "[standard_types]") {
  check_takes_little_memory<Level>();
  check_takes_little_memory<std::vector<std::list<std::vector<std::deque<std::string>>>>>();
}

TEST_CASE("bits are eight a byte and the rest zero", "[standard_types]") {
  mp::Bytes bytes;
  mp::wire::encode(bytes, std::bitset<9>(0b1'0000'0001));
  CHECK(bytes == mp::Bytes{std::byte{1}, std::byte{1}});
  bytes[1] = std::byte{2};
  std::span<std::byte const> rest(bytes);
  CHECK_THROWS_AS(mp::wire::decode<std::bitset<9>>(rest), mp::UnpicklingError);
}

TEST_CASE("a valarray of nothing arrives", "[standard_types]") {
  CHECK(mp::loads<std::valarray<int>>(mp::dumps(std::valarray<int>())).size() == 0);
  CHECK(mp::loads<std::valarray<std::string>>(mp::dumps(std::valarray<std::string>(2))).size() ==
        2);
}

TEST_CASE("elements without bytes are few", "[standard_types]") {
  using Lists = std::list<std::list<Marker>>;
  CHECK(mp::loads<Lists>(mp::dumps(Lists(3, std::list<Marker>(100)))).size() == 3);
  mp::Bytes bytes;
  for (std::uint64_t length : std::vector<std::uint64_t>(1001, 1000)) {
    auto const* const first = reinterpret_cast<std::byte const*>(&length);
    bytes.insert(bytes.end(), first, first + sizeof length);
  }
  std::span<std::byte const> rest(bytes);
  CHECK_THROWS_AS(mp::wire::decode<Lists>(rest), mp::UnpicklingError);
}

TEST_CASE("an empty range of arrays with padding is written", "[standard_types]") {
  struct Holes {
    char c;
    int i;
  };
  using Arrays = std::vector<std::array<Holes, 2>>;
  CHECK(mp::loads<Arrays>(mp::dumps(Arrays())).empty());
}

}  // namespace standard_types_test
