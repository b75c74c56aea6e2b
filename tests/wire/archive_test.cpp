// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/archive.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace archive_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(Point const&) const = default;
};
class NoDefault {
 public:
  constexpr explicit NoDefault(int v) : value(v) {}
  int value;
};
struct Named {
  std::string name;
  std::vector<Point> points;
  bool operator==(Named const&) const = default;
};
struct Half {  // trivially copyable, but its author knows better
  int kept = 0;
  int dropped = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(kept);
  }
};
class Picky {
 public:
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number);
    if (number < 0) throw std::domain_error("negative");
  }
};
class ByCereal {
 public:
  template <class Archive>
  void serialize(Archive&) {
    throw cereal::Exception("first line\nsecond line");
  }
};
class Pieces {
 public:
  std::vector<short> numbers;
  template <class Archive>
  void save(Archive& archive) const {
    archive(cereal::make_size_tag(static_cast<cereal::size_type>(numbers.size())));
    archive(cereal::binary_data(numbers.data(), numbers.size() * sizeof(short)));
  }
  template <class Archive>
  void load(Archive& archive) {
    cereal::size_type size = 0;
    archive(cereal::make_size_tag(size));
    numbers.resize(size);
    archive(cereal::binary_data(numbers.data(), numbers.size() * sizeof(short)));
  }
};

template <class T>
wire::Bytes encoded(T const& value) {
  wire::Bytes bytes;
  wire::encode(bytes, value);
  return bytes;
}
template <class T>
T decoded(wire::Bytes const& bytes) {
  std::span<std::byte const> rest(bytes);
  T value = wire::decode<T>(rest);
  CHECK(rest.empty());
  return value;
}
template <class T>
void check_round_trip(T const& value) {
  CHECK(decoded<T>(encoded(value)) == value);
}

}  // namespace

TEST_CASE("what is encoded comes back equal", "[archive]") {
  check_round_trip(42);
  check_round_trip(true);
  check_round_trip(Point{1, 2});
  check_round_trip(std::string("with a \0 inside", 15));
  check_round_trip(std::vector<Point>{{1, 2}, {3, 4}});
  check_round_trip(std::vector<std::vector<std::string>>{{}, {"a"}, {"b", "c"}});
  check_round_trip(Named{"n", {{1, 2}}});
  check_round_trip(std::vector<Named>{{"a", {}}, {"b", {{5, 6}}}});
  check_round_trip(std::optional<Named>({"a", {}}));
}

TEST_CASE("a struct is its members without anything between them", "[archive]") {
  CHECK(encoded(Point{}).size() == sizeof(Point));
  CHECK(encoded(std::vector<Point>(10)).size() == 8 + 10 * sizeof(Point));
  CHECK(encoded(Named{"abc", {}}) == encoded(std::pair(std::string("abc"), std::vector<Point>())));
}

TEST_CASE("a plain type needs no default constructor", "[archive]") {
  CHECK(decoded<NoDefault>(encoded(NoDefault(7))).value == 7);
}

TEST_CASE("the user's serialize wins over the bytes", "[archive]") {
  CHECK(encoded(Half{1, 2}).size() == sizeof(int));
  auto const half = decoded<Half>(encoded(Half{1, 2}));
  CHECK(half.kept == 1);
  CHECK(half.dropped == 0);
  CHECK(encoded(std::vector<Half>(3)).size() == 8 + 3 * sizeof(int));
}

TEST_CASE("what the user's functions throw arrives as it is", "[archive]") {
  Picky picky;
  picky.number = -1;
  CHECK_THROWS_AS(encoded(picky), std::domain_error);
  CHECK_THROWS_AS(decoded<Picky>(encoded(-1)), std::domain_error);
}

TEST_CASE("what cereal throws arrives as this library's with its first line", "[archive]") {
  CHECK(support::message_of<mp::PicklingError>([] { encoded(ByCereal()); }) == "first line");
  CHECK(support::message_of<mp::UnpicklingError>([] { decoded<ByCereal>({}); }) == "first line");
}

TEST_CASE("the user's functions may write pieces of memory", "[archive]") {
  Pieces pieces;
  pieces.numbers = {1, 2, 3};
  CHECK(encoded(pieces).size() == 8 + 6);
  CHECK(decoded<Pieces>(encoded(pieces)).numbers == pieces.numbers);
}

TEST_CASE("elements are aligned in their message wherever it begins", "[archive]") {
  std::pair const value(std::string("x"), std::vector{1.5, 2.5});
  auto const bytes = encoded(value);
  CHECK(bytes.size() == 8 + 1 + 8 + 7 + 16);
  wire::Bytes sink(3);
  wire::encode(sink, value);
  CHECK(wire::Bytes(sink.begin() + 3, sink.end()) == bytes);
}

TEST_CASE("what is decoded is taken from the front", "[archive]") {
  wire::Bytes bytes = encoded(std::string("a"));
  wire::encode(bytes, 7);
  std::span<std::byte const> rest(bytes);
  CHECK(wire::decode<std::string>(rest) == "a");
  CHECK(rest.size() == sizeof(int));
  CHECK(wire::decode<int>(rest) == 7);
  CHECK_THROWS_AS(wire::decode<int>(rest), mp::UnpicklingError);
}

}  // namespace archive_test
