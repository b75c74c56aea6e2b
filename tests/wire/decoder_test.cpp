// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/decoder.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace decoder_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (int const each : values) bytes.push_back(static_cast<std::byte>(each));
  return bytes;
}

}  // namespace

TEST_CASE("no more bytes are read than there are", "[decoder]") {
  auto const bytes = bytes_of({1, 2, 3});
  wire::Decoder decoder(bytes);
  std::uint16_t two = 0;
  decoder.read(&two, sizeof two);
  CHECK(two == 0x0201);
  CHECK(decoder.remaining() == 1);
  CHECK_THAT(support::message_of<mp::UnpicklingError>([&] { decoder.read(&two, sizeof two); }),
             ContainsSubstring("2 bytes where 1 are left"));
  CHECK_THROWS_AS(decoder.take(~std::size_t{0}), mp::UnpicklingError);
  CHECK(decoder.take(1) == &bytes[2]);
  CHECK(decoder.remaining() == 0);
  decoder.read(nullptr, 0);
}

TEST_CASE("nothing can be read of nothing", "[decoder]") {
  wire::Decoder decoder(std::span<std::byte const>{});
  CHECK(decoder.remaining() == 0);
  decoder.read(nullptr, 0);
  CHECK_THROWS_AS(decoder.take(1), mp::UnpicklingError);
  CHECK_THROWS_AS(decoder.take_aligned<int>(1), mp::UnpicklingError);
  CHECK_NOTHROW(decoder.take_aligned<int>(0));
}

TEST_CASE("the zeros before aligned elements are skipped", "[decoder]") {
  auto const bytes = bytes_of({9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0});
  wire::Decoder decoder(bytes);
  decoder.take(1);
  CHECK(decoder.take_aligned<int>(2) == &bytes[4]);
  CHECK(decoder.remaining() == 0);
}

TEST_CASE("anything but zeros before aligned elements is refused", "[decoder]") {
  auto const bytes = bytes_of({9, 0, 1, 0, 1, 0, 0, 0});
  wire::Decoder decoder(bytes);
  decoder.take(1);
  CHECK_THROWS_AS(decoder.take_aligned<int>(1), mp::UnpicklingError);
}

TEST_CASE("a count that lies is refused", "[decoder]") {
  auto const bytes = bytes_of({1, 0, 0, 0, 2, 0, 0, 0});
  for (auto const count : {std::uint64_t{3}, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    wire::Decoder decoder(bytes);
    CHECK_THAT(support::message_of<mp::UnpicklingError>([&] { decoder.take_aligned<int>(count); }),
               ContainsSubstring("length"));
  }
  wire::Decoder const decoder(bytes);
  CHECK_NOTHROW(decoder.check_length(8));
  CHECK_THROWS_AS(decoder.check_length(1'000'000), mp::UnpicklingError);
}

TEST_CASE("objects are found by their number and type alone", "[decoder]") {
  constexpr auto kNew = wire::archive::kNewObject;
  wire::Decoder decoder(std::span<std::byte const>{});
  auto const object = std::make_shared<int>(7);
  auto const place = decoder.expect(kNew | 1, typeid(int));
  CHECK_THROWS_AS(decoder.find(1, typeid(int)), mp::UnpicklingError);
  decoder.keep(place, object);
  CHECK(decoder.find(1, typeid(int)) == object);
  CHECK_THROWS_AS(decoder.find(1, typeid(float)), mp::UnpicklingError);
  CHECK_THROWS_AS(decoder.find(0, typeid(int)), mp::UnpicklingError);
  CHECK_THROWS_AS(decoder.find(2, typeid(int)), mp::UnpicklingError);
  CHECK_THROWS_AS(decoder.expect(kNew | 1, typeid(int)), mp::UnpicklingError);
  CHECK_THROWS_AS(decoder.expect(kNew | 3, typeid(int)), mp::UnpicklingError);
  CHECK_NOTHROW(decoder.expect(kNew | 2, typeid(int)));
}

TEST_CASE("who nests too deeply is stopped while it is read", "[decoder]") {
  wire::Decoder decoder(std::span<std::byte const>{});
  for (std::uint32_t i = 0; i < wire::archive::kDeepest; ++i) decoder.descend(1);
  CHECK_THROWS_AS(decoder.descend(1), mp::UnpicklingError);
}

TEST_CASE("the modules are those it was given or those that are loaded", "[decoder]") {
  mp::os::ModuleTable const table;
  CHECK(&wire::Decoder({}, &table).modules() == &table);
  wire::Decoder decoder(std::span<std::byte const>{});
  CHECK(decoder.modules().any([](auto const& each) { return each.path.empty(); }));
  CHECK(&decoder.modules() == &decoder.modules());
}

}  // namespace decoder_test
