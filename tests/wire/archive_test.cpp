// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/archive.hpp>

#include <cstdint>
#include <string_view>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

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
  template <class Archive>
  void serialize(Archive& archive) {
    archive(name, points);
  }
};
struct Half {  // trivially copyable, but its author knows better
  int kept = 0;
  int dropped = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(kept);
  }
};

template <class T>
wire::Bytes encoded(T const& value) {
  wire::Bytes bytes;
  wire::Encoder encoder(bytes);
  wire::encode(encoder, value);
  return bytes;
}
template <class T>
T decoded(wire::Bytes const& bytes) {
  wire::Decoder decoder(bytes);
  T value = wire::decode<T>(decoder);
  CHECK(decoder.remaining() == 0);
  return value;
}
template <class T>
void check_round_trip(T const& value) {
  CHECK(decoded<T>(encoded(value)) == value);
}

static_assert(wire::Encodable<std::vector<std::vector<std::string>>>);
static_assert(wire::Encodable<Named> && wire::Encodable<std::vector<Named>>);
static_assert(!wire::Encodable<std::string_view> && !wire::Encodable<std::vector<int*>>);
static_assert(!wire::Encodable<char const*>);

}  // namespace

TEST_CASE("what is encoded comes back equal", "[archive]") {
  check_round_trip(42);
  check_round_trip(std::int8_t{-1});
  check_round_trip(1.5);
  check_round_trip(true);
  check_round_trip(Point{1, 2});
  check_round_trip(std::string());
  check_round_trip(std::string("with a \0 inside", 15));
  check_round_trip(std::u32string(U"\U0001F600"));
  check_round_trip(std::vector<int>{});
  check_round_trip(std::vector<int>{1, 2, 3});
  check_round_trip(std::vector<bool>{true, false, true});
  check_round_trip(std::vector<Point>{{1, 2}, {3, 4}});
  check_round_trip(std::vector<std::string>{"", "a", std::string(10'000, 'x')});
  check_round_trip(std::vector<std::vector<std::string>>{{}, {"a"}, {"b", "c"}});
  check_round_trip(Named{"n", {{1, 2}}});
  check_round_trip(std::vector<Named>{{"a", {}}, {"b", {{5, 6}}}});
}

TEST_CASE("plain values are their bytes, without a length or a tag", "[archive]") {
  CHECK(encoded(42).size() == sizeof(int));
  CHECK(encoded(Point{}).size() == sizeof(Point));
  CHECK(encoded(std::vector<Point>(10)).size() == 8 + 10 * sizeof(Point));
}

TEST_CASE("a plain type needs no default constructor", "[archive]") {
  CHECK(decoded<NoDefault>(encoded(NoDefault(7))).value == 7);
}

TEST_CASE("the user's serialize wins over the bytes", "[archive]") {
  CHECK(encoded(Half{1, 2}).size() == sizeof(int));
  auto const half = decoded<Half>(encoded(Half{1, 2}));
  CHECK(half.kept == 1);
  CHECK(half.dropped == 0);
}

TEST_CASE("bytes that end too early are an error, wherever they are cut", "[archive]") {
  auto const bytes = encoded(std::vector<Named>{{"abc", {{1, 2}}}, {"defg", {{3, 4}, {5, 6}}}});
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    wire::Bytes const cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    wire::Decoder decoder(cut);
    CHECK_THROWS_AS(wire::decode<std::vector<Named>>(decoder), mp::Error);
  }
}

TEST_CASE("a length that lies is refused before memory is taken for it", "[archive]") {
  auto bytes = encoded(std::vector<std::string>{"a"});
  bytes[7] = std::byte{0x7f};
  wire::Decoder decoder(bytes);
  auto const text =
      support::message_of<mp::Error>([&] { wire::decode<std::vector<std::string>>(decoder); });
  CHECK_THAT(text, ContainsSubstring("length"));
}
