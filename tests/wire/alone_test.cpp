// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/alone.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <multiprocessing/wire/archive.hpp>

#include "../support/catch.hpp"

namespace alone_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

enum class Color : std::uint8_t { Red = 1, Blue = 200 };
struct Padded {
  std::int32_t id = 0;
  double value = 0;
  bool flag = false;
  bool operator==(Padded const&) const = default;
};
struct Scalars {  // in runs before, between and behind what is of no fixed size
  std::int16_t number = 0;
  bool truth = false;
  Padded padded;
  std::string name;
  Color color = Color::Red;
  std::array<Padded, 2> pair;
  std::vector<std::uint16_t> numbers;
  long double last = 0;
  bool operator==(Scalars const&) const = default;
};
struct Mixed {
  std::map<std::string, Scalars> scalars;
  std::set<int> set;
  std::multimap<int, std::string> texts;
  std::unordered_map<std::string, double> rates;
  std::unordered_set<std::string> names;
  std::list<std::pair<bool, std::string>> list;
  std::deque<std::tuple<int, Padded>> deque;
  std::vector<std::vector<std::string>> nested;
  bool operator==(Mixed const&) const = default;
};
struct Node {
  int value = 0;
  std::vector<Node> children;
  bool operator==(Node const&) const = default;
};
struct ByUser {
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number);
  }
};
struct HoldsByUser {
  std::string name;
  std::vector<ByUser> users;
};
/// The same members, but never alone: the user's function needs an archive.
struct Beside {
  Mixed mixed;
  ByUser user;
};

static_assert(wire::NeedsNoArchive<int> && wire::NeedsNoArchive<Padded>);
static_assert(wire::NeedsNoArchive<std::string> && wire::NeedsNoArchive<std::vector<Padded>>);
static_assert(wire::NeedsNoArchive<Scalars> && wire::NeedsNoArchive<Mixed>);
static_assert(wire::NeedsNoArchive<Node> && wire::NeedsNoArchive<std::map<Color, Node>>);
static_assert(!wire::NeedsNoArchive<ByUser> && !wire::NeedsNoArchive<HoldsByUser>);
static_assert(!wire::NeedsNoArchive<Beside> && !wire::NeedsNoArchive<std::vector<ByUser>>);
static_assert(!wire::NeedsNoArchive<std::shared_ptr<int>>);
static_assert(!wire::NeedsNoArchive<std::vector<bool>>);
static_assert(wire::OnePiece<std::string> && wire::OnePiece<Padded> && !wire::OnePiece<Node>);

Scalars scalars() {
  return {-2,
          true,
          {1, 2.5, true},
          "a name that is allocated",
          Color::Blue,
          {{{3, 4.5, false}, {5, 6.5, true}}},
          {7, 8, 9},
          -1.5L};
}
Mixed mixed() {
  return {{{"b", scalars()}, {"a", {}}},
          {3, 1, 2},
          {{1, "x"}, {1, "y"}},
          {{"EUR", 1.08}},
          {"one"},
          {{true, "t"}, {false, ""}},
          {{1, {2, 3.5, true}}},
          {{}, {"a"}, {"b", "c"}}};
}

template <class T>
wire::Bytes written(T const& value) {
  wire::Bytes bytes;
  wire::Writer writer(bytes);
  wire::archive::write_alone(writer, value);
  writer.finish();
  return bytes;
}
template <class T>
T read(std::span<std::byte const> bytes) {
  wire::Reader reader(bytes);
  T value = wire::archive::read_alone<T>(reader);
  CHECK(reader.remaining() == 0);
  return value;
}
/// By cereal's functions, each part on its own.
template <class T>
wire::Bytes written_by_archive(T const& value) {
  wire::Bytes bytes;
  wire::Encoder encoder(bytes);
  encoder(value);
  encoder.finish();
  return bytes;
}
/// Children below children.
Node chain(int length) {
  Node node;
  for (int i = 1; i < length; ++i) {
    Node above;
    above.children.push_back(std::move(node));
    node = std::move(above);
  }
  return node;
}

}  // namespace

TEST_CASE("what needs no archive comes back equal without one", "[alone]") {
  CHECK(read<Scalars>(written(scalars())) == scalars());
  CHECK(read<Mixed>(written(mixed())) == mixed());
  CHECK(read<Mixed>(written(Mixed{})) == Mixed{});
  Node const tree{1, {{2, {}}, {3, {{4, {}}}}}};
  CHECK(read<Node>(written(tree)) == tree);
}

TEST_CASE("archives write and read the same bytes", "[alone]") {
  auto const bytes = written(mixed());
  CHECK(written_by_archive(mixed()) == bytes);
  CHECK(written_by_archive(mixed().scalars) == written(mixed().scalars));
  CHECK(written_by_archive(scalars()) == written(scalars()));
  wire::Decoder decoder(bytes);
  Mixed got{{{"old", {}}}, {9}, {}, {}, {}, {}, {}, {{"old"}}};
  decoder(got);
  CHECK(got == mixed());
  wire::Bytes beside;
  wire::encode(beside, Beside{mixed(), {7}});
  std::span<std::byte const> rest(beside);
  auto const made = wire::decode<Beside>(rest);
  CHECK(made.mixed == mixed());
  CHECK(made.user.number == 7);
  beside.resize(bytes.size());
  CHECK(beside == bytes);
}

TEST_CASE("in a run of plain members padding is zero and truths are looked at", "[alone]") {
  Scalars a;
  Scalars b;
  for (Padded* const each : {&a.padded, &a.pair[0], &a.pair[1]}) {
    std::memset(static_cast<void*>(each), 0xff, sizeof *each);
    each->id = 0;
    each->value = 0;
    each->flag = false;
  }
  auto const bytes = written(a);
  CHECK(bytes == written(b));
  auto damaged = bytes;
  damaged.at(2) = std::byte{2};
  CHECK_THROWS_AS(read<Scalars>(damaged), mp::UnpicklingError);
  damaged = bytes;
  damaged.at(3 + 4) = std::byte{1};  // behind padded.id
  CHECK_THROWS_AS(read<Scalars>(damaged), mp::UnpicklingError);
}

TEST_CASE("bytes that end too early are refused wherever they end", "[alone]") {
  auto const bytes = written(mixed());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    wire::Reader reader(std::span<std::byte const>(bytes).first(size));
    CHECK_THROWS_AS(wire::archive::read_alone<Mixed>(reader), mp::UnpicklingError);
  }
}

TEST_CASE("a length beyond the bytes that are left takes no memory", "[alone]") {
  for (std::uint64_t const length : {std::uint64_t{5000}, ~std::uint64_t{0}}) {
    wire::Bytes bytes(sizeof length);
    std::memcpy(bytes.data(), &length, sizeof length);
    CHECK_THROWS_AS(read<std::vector<std::string>>(bytes), mp::UnpicklingError);
    CHECK_THROWS_AS((read<std::map<std::string, int>>(bytes)), mp::UnpicklingError);
    CHECK_THROWS_AS(read<std::set<int>>(bytes), mp::UnpicklingError);
    CHECK_THROWS_AS(read<std::vector<std::tuple<>>>(bytes), mp::UnpicklingError);
  }
}

TEST_CASE("too deep a value is refused in both directions", "[alone]") {
  auto const deepest = chain(1000);
  auto bytes = written(deepest);
  CHECK(read<Node>(bytes) == deepest);
  CHECK_THROWS_AS(written(chain(1001)), mp::PicklingError);
  auto const child = std::size_t{4 + 8};  // a value and how many children
  wire::Bytes deeper(bytes.begin(), bytes.begin() + child);
  deeper.insert(deeper.end(), bytes.begin(), bytes.end());
  CHECK_THROWS_AS(read<Node>(deeper), mp::UnpicklingError);
}

TEST_CASE("a room that is too small is not left", "[alone]") {
  auto const bytes = written(scalars());
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    auto const room = std::make_unique<std::byte[]>(size);  // watched by sanitizers
    CHECK(wire::encode_into({room.get(), size}, scalars()) == bytes.size());
    if (size == bytes.size()) CHECK(std::equal(bytes.begin(), bytes.end(), room.get()));
  }
}

}  // namespace alone_test
