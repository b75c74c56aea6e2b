// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/encoder.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/wire/archive.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace {

thread_local long allocations = 0;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  return std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
}
void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* const memory = allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}
constexpr std::size_t kAlignment = alignof(std::max_align_t);

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  return allocate_or_throw(size, kAlignment);
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, std::max(kAlignment, static_cast<std::size_t>(alignment)));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  return allocate(size, kAlignment);
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return allocate_or_throw(size, kAlignment);
}
[[gnu::noinline]] void* operator new[](std::size_t size, std::nothrow_t const&) noexcept {
  return allocate(size, kAlignment);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::nothrow_t const&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::nothrow_t const&) noexcept {
  std::free(memory);
}

namespace encoder_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

struct Small {
  std::string text = "a text that is too long for the string itself";
  std::vector<double> numbers = std::vector<double>(20, 1.5);
  std::map<std::string, int> map = {{"one", 1}, {"another text that is too long as well", 2}};
  int number = 7;
  bool operator==(Small const&) const = default;
};

class Thrower {
 public:
  bool throws = false;
  std::string text = std::string(10'000, 'x');
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text);
    if (throws) throw std::domain_error("serialize");
  }
};

wire::Bytes encoded(auto const& value) {
  wire::Bytes bytes;
  wire::encode(bytes, value);
  return bytes;
}

}  // namespace

TEST_CASE("what is written to room that is large enough allocates nothing", "[encoder]") {
  Small const small;
  std::vector<std::byte> room(4096);
  auto const before = allocations;
  auto const size = wire::encode_into(room, small);
  auto const after = allocations;
  ::operator delete(::operator new(1));
  auto const after_one = allocations;
  CHECK(after == before);
  CHECK(after_one == after + 1);
  REQUIRE(size <= room.size());
  room.resize(size);
  CHECK(room == encoded(small));
  std::span<std::byte const> bytes(room);
  CHECK(wire::decode<Small>(bytes) == small);
}

TEST_CASE("room that is too small is not left and the size is told", "[encoder]") {
  Small const small;
  auto const bytes = encoded(small);
  for (std::size_t room = 0; room <= bytes.size(); ++room) {
    std::vector<std::byte> memory(bytes.size() + 64, std::byte{0xEE});
    CHECK(wire::encode_into(std::span(memory).first(room), small) == bytes.size());
    CHECK(std::all_of(memory.begin() + static_cast<std::ptrdiff_t>(room), memory.end(),
                      [](std::byte each) { return each == std::byte{0xEE}; }));
  }
  CHECK(wire::encode_into({}, small) == bytes.size());
}

TEST_CASE("what throws while it is written leaves nothing behind", "[encoder]") {
  wire::Bytes sink(3, std::byte{7});
  Thrower thrower;
  thrower.throws = true;
  CHECK_THROWS_AS(wire::encode(sink, thrower), std::domain_error);
  CHECK(sink == wire::Bytes(3, std::byte{7}));
  CHECK_THROWS_AS(wire::encode(sink, std::vector{Thrower(), thrower}), std::domain_error);
  CHECK(sink == wire::Bytes(3, std::byte{7}));
  thrower.throws = false;
  wire::encode(sink, thrower);
  CHECK(sink.size() == 3 + encoded(thrower).size());
}

TEST_CASE("messages may stand one behind the other", "[encoder]") {
  wire::Bytes sink(3);
  wire::encode(sink, std::string("a"));
  wire::encode(sink, std::vector{1.5, 2.5});
  wire::encode(sink, std::string(100'000, 'x'));
  wire::encode(sink, 7);
  auto bytes = std::span<std::byte const>(sink).subspan(3);
  CHECK(wire::decode<std::string>(bytes) == "a");
  CHECK(wire::decode<std::vector<double>>(bytes) == std::vector{1.5, 2.5});
  CHECK(wire::decode<std::string>(bytes) == std::string(100'000, 'x'));
  CHECK(wire::decode<int>(bytes) == 7);
  CHECK(bytes.empty());
}

TEST_CASE("pieces of every size are written as they are", "[encoder]") {
  wire::Bytes expected;
  wire::Bytes sink;
  wire::Encoder encoder(sink);
  for (std::size_t size = 0; size < 10'000; size = size < 40 ? size + 1 : size * 3) {
    wire::Bytes piece(size);
    for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<std::byte>(i + size);
    encoder.write(piece.data(), size);
    expected.insert(expected.end(), piece.begin(), piece.end());
    CHECK(encoder.size() == expected.size());
  }
  encoder.finish();
  CHECK(sink == expected);
}

TEST_CASE("alignment is counted from the beginning of the message", "[encoder]") {
  wire::Bytes sink(3, std::byte{7});
  wire::Encoder encoder(sink);
  encoder.align(8);
  CHECK(encoder.size() == 0);
  encoder.write("x", 1);
  encoder.align(8);
  CHECK(encoder.size() == 8);
  encoder.align(8);
  encoder.finish();
  CHECK(sink.size() == 3 + 8);
  CHECK(sink.back() == std::byte{0});
}

TEST_CASE("each object of each type has a number of its own", "[encoder]") {
  wire::Encoder encoder(std::span<std::byte>{});
  auto const one = std::make_shared<int>(1);
  auto const other = std::make_shared<int>(1);
  CHECK(encoder.number_of(one, typeid(int)) == (1 | wire::archive::kNewObject));
  CHECK(encoder.number_of(other, typeid(int)) == (2 | wire::archive::kNewObject));
  CHECK(encoder.number_of(one, typeid(int)) == 1);
  CHECK(encoder.number_of(one, typeid(float)) == (3 | wire::archive::kNewObject));
  CHECK(encoder.number_of(other, typeid(int)) == 2);
}

TEST_CASE("who descends too deeply is stopped", "[encoder]") {
  wire::Encoder encoder(std::span<std::byte>{});
  for (std::uint32_t i = 0; i < wire::archive::kDeepest; ++i) encoder.descend(1);
  CHECK_THROWS_AS(encoder.descend(1), mp::PicklingError);
}

}  // namespace encoder_test
