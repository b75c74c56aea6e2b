// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/elements.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <valarray>
#include <vector>

#include <multiprocessing/wire/archive.hpp>

#include "../support/catch.hpp"

namespace elements_test {

namespace mp = multiprocessing;
namespace archive = multiprocessing::wire::archive;
using mp::wire::Decoder;
using mp::wire::Encoder;
using mp::wire::Reader;
using mp::wire::Writer;

namespace {
struct Holes {
  char c;
  int i;
  bool operator==(Holes const&) const = default;
};
}  // namespace

TEST_CASE("elements are a length and their bytes at an aligned place", "[elements]") {
  mp::wire::Bytes bytes;
  Writer writer(bytes);
  writer.write("x", 1);
  double const values[] = {1, 2};
  archive::write_elements(writer, values, 2);
  writer.finish();
  REQUIRE(bytes.size() == 16 + 16);  // one, a length, padding
  Reader reader(bytes);
  CHECK(*reader.take(1) == std::byte{'x'});
  CHECK(archive::read_elements<double>(reader).size() == 16);
  CHECK(reader.remaining() == 0);
}

TEST_CASE("elements of a damaged representation are refused by name", "[elements]") {
  mp::wire::Bytes bytes;
  Writer writer(bytes);
  archive::write_range(writer, std::vector<Holes>{{'a', 1}, {'b', 2}});
  writer.finish();
  bytes.at(8 + 1) = std::byte{1};
  Reader reader(bytes);
  std::vector<Holes> holes;
  try {
    archive::read_range(reader, holes);
    FAIL("no exception");
  } catch (mp::UnpicklingError const& error) {
    CHECK_THAT(error.what(), ContainsSubstring("Holes"));
  }
}

TEST_CASE("elements too many for one piece arrive in order", "[elements]") {
  for (std::size_t const count : {3839u, 3840u, 3841u, 7680u, 10'001u}) {
    std::vector<Holes> sent(count);
    for (std::size_t i = 0; i < count; ++i) sent[i] = {'x', static_cast<int>(i)};
    mp::wire::Bytes bytes;
    Writer writer(bytes);
    archive::write_range(writer, sent);
    writer.finish();
    Reader reader(bytes);
    std::vector<Holes> got{{'o', 1}, {'l', 2}, {'d', 3}};
    archive::read_range(reader, got);
    CHECK(got.size() == count);
    CHECK(got.capacity() == count);
    CHECK(std::equal(sent.begin(), sent.end(), got.begin(), got.end()));
    CHECK(reader.remaining() == 0);
  }
}

TEST_CASE("damage is found in every piece of a range", "[elements]") {
  constexpr std::size_t kCount = 10'000;
  mp::wire::Bytes bytes;
  Writer writer(bytes);
  archive::write_range(writer, std::vector<Holes>(kCount, {'a', 1}));
  writer.finish();
  for (std::size_t i = 0; i < kCount; i += 97) {
    auto& padding = bytes.at(8 + i * sizeof(Holes) + 3);
    padding = std::byte{0x80};
    Reader reader(bytes);
    std::vector<Holes> holes;
    CHECK_THROWS_AS(archive::read_range(reader, holes), mp::UnpicklingError);
    padding = std::byte{0};
  }
}

TEST_CASE("elements may lie at no address for their type", "[elements]") {
  std::vector<double> const numbers(5000, 1.5);
  std::vector<Holes> const structs(5000, {'a', 7});
  std::valarray<double> const array(2.5, 5000);
  mp::wire::Bytes message;
  Encoder encoder(message);
  auto const many = std::make_unique<std::array<Holes, 9000>>();
  many->fill({'b', 8});
  encoder(numbers, structs, array, std::valarray<double>(), *many);
  encoder.finish();
  mp::wire::Bytes bytes(message.size() + 1);
  std::copy(message.begin(), message.end(), bytes.begin() + 1);
  Decoder decoder(std::span<std::byte const>(bytes).subspan(1));
  std::vector<double> got_numbers;
  std::vector<Holes> got_structs;
  std::valarray<double> got_array;
  std::valarray<double> got_nothing(3);
  auto const got_many = std::make_unique<std::array<Holes, 9000>>();
  decoder(got_numbers, got_structs, got_array, got_nothing, *got_many);
  CHECK(got_numbers == numbers);
  CHECK(got_structs == structs);
  CHECK(got_nothing.size() == 0);
  CHECK(*got_many == *many);
  CHECK((got_array.size() == 5000 && got_array.min() == 2.5 && got_array.max() == 2.5));
}

TEST_CASE("what does not fit the room is counted", "[elements]") {
  std::byte room[64];
  std::vector<Holes> const holes(100, {'a', 1});
  for (std::size_t size = 0; size <= sizeof room; ++size) {
    Writer writer(std::span<std::byte>(room).first(size));
    writer.write("x", 1);
    archive::write_range(writer, holes);
    CHECK(writer.size() == 12 + 800);
  }
}

}  // namespace elements_test
