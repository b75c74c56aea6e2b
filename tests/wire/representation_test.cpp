// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/representation.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../support/catch.hpp"

namespace representation_test {

namespace wire = multiprocessing::wire;

namespace {

struct Dense {
  int a;
  int b;
};
struct Holes {
  char a;
  int b;
  bool c;
};
struct Real {
  double value;
};
struct Bits {
  unsigned a : 3;
  bool b : 1;
  int c;
};
struct DenseBits {
  unsigned a : 12;
  unsigned b : 20;
};
struct Deep {
  char first;
  std::array<Holes, 2> holes;
  bool flags[2];
};
struct LargeDense {
  int numbers[100'000];
};
struct LargeWithHoles {
  char first;
  double numbers[1000];
};
struct FewHoles {
  int first;
  double numbers[40];
  bool last;
};
struct Short {
  bool flag;
  std::uint16_t number;
};
struct Odd {
  bool flags[3];
  char text[20];
};
struct Three {  // alignment 1, as those of 5
  char text[2];
  bool flag;
};
struct Five {
  bool flag;
  char text[4];
};
struct Ten {  // alignment 2; a hole in the head, the middle and the tail
  char head;
  std::int16_t a;
  char middle;
  std::int16_t b;
  char tail;
};
struct Twelve {  // alignment 4
  std::int16_t a;
  int b;
  char c;
};
struct Twenty {
  int a;
  char b;
  int c[3];
};
struct Forty {  // alignment 8
  char head;
  double values[3];
  int tail;
};
struct Long {  // alignment 16
  char head;
  long double value;
  bool tail;
};
struct Nested {
  char head;
  Twelve twelve;
  Ten tens[2];
  bool flag;
  Long last;
};
class NoDefault {
 public:
  constexpr NoDefault(char a, int b) : a_(a), b_(b) {}
  int sum() const { return a_ + b_; }

 private:
  char a_;
  int b_;
};

static_assert(wire::kEveryByteCounts<int> && wire::kEveryByteCounts<double>);
static_assert(wire::kEveryByteCounts<char> && wire::kEveryByteCounts<Dense>);
static_assert(wire::kEveryByteCounts<int const> && wire::kEveryByteCounts<Real>);
static_assert(wire::kEveryByteCounts<std::array<Dense, 1'000'000>>);
static_assert(wire::kEveryByteCounts<LargeDense>);
static_assert(!wire::kEveryByteCounts<bool>);
// Of x86's 16 bytes 10 count; elsewhere all of them do.
static_assert(wire::kEveryByteCounts<long double> == (LDBL_MANT_DIG > 64));
static_assert(!wire::kEveryByteCounts<Holes> && !wire::kEveryByteCounts<Deep>);
static_assert(!wire::kEveryByteCounts<Bits> && !wire::kEveryByteCounts<NoDefault>);
static_assert(!wire::kEveryByteCounts<std::array<Holes, 2>>);
static_assert(sizeof(Three) == 3 && sizeof(Five) == 5 && sizeof(Ten) == 10);
static_assert(sizeof(Twelve) == 12 && sizeof(Twenty) == 20 && sizeof(Forty) == 40);
static_assert(sizeof(Nested) % 16 == 0);

static_assert(wire::Representable<Holes> && wire::Representable<Bits> && wire::Representable<Deep>);
static_assert(wire::Representable<std::array<Holes, 1000>>);
static_assert(wire::Representable<LargeDense> && !wire::Representable<LargeWithHoles>);
static_assert(!wire::Representable<int*> && !wire::Representable<std::string>);

template <class T>
std::array<std::byte, sizeof(T)> written(T const& value) {
  std::array<std::byte, sizeof(T)> bytes;
  bytes.fill(std::byte{0xEE});
  wire::write_representations(bytes.data(), &value, 1);
  return bytes;
}
template <class T>
bool is_one(std::array<std::byte, sizeof(T)> const& bytes) {
  return wire::are_representations<T>(bytes.data(), 1);
}
/// How many of the T's bytes can be `byte` while all others are zero.
template <class T>
int places_of(unsigned char byte) {
  int count = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    std::array<std::byte, sizeof(T)> bytes{};
    bytes[i] = std::byte{byte};
    count += is_one<T>(bytes) ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("what is written is a representation", "[representation]") {
  CHECK(is_one<int>(written(7)));
  CHECK(is_one<bool>(written(true)));
  CHECK(is_one<long double>(written(-1.5L)));
  CHECK(is_one<Holes>(written(Holes{1, -2, true})));
  CHECK(is_one<Bits>(written(Bits{7, true, -1})));
  CHECK(is_one<Deep>(written(Deep{1, {{{2, 3, true}, {4, 5, false}}}, {true, true}})));
  CHECK(is_one<NoDefault>(written(NoDefault('a', 1))));
  CHECK(is_one<std::array<Holes, 2>>(written(std::array<Holes, 2>{{{1, 2, true}, {3, 4, true}}})));
}

TEST_CASE("padding is written as zeros", "[representation]") {
  Holes const holes{1, -1, true};
  auto const bytes = written(holes);
  for (std::size_t i = 0; i < sizeof(Holes); ++i) {
    auto const byte = std::to_integer<int>(bytes[i]);
    if (i == offsetof(Holes, a) || i == offsetof(Holes, c)) {
      CHECK(byte == 1);
    } else if (i >= offsetof(Holes, b) && i < offsetof(Holes, b) + sizeof(int)) {
      CHECK(byte == 0xff);
    } else {
      CHECK(byte == 0);
    }
  }
}

TEST_CASE("bytes with something in the padding are no representation", "[representation]") {
  CHECK(places_of<Dense>(1) == 8);
  CHECK(places_of<Holes>(1) == 1 + 4 + 1);
  CHECK(places_of<std::array<Holes, 3>>(1) == 3 * 6);
  CHECK(places_of<Deep>(1) == 1 + 2 * 6 + 2);
  CHECK(places_of<NoDefault>(1) == 5);
  CHECK(places_of<Bits>(1) == 1 + 4);
  CHECK(places_of<Bits>(8) == 1 + 4);
  CHECK(places_of<Bits>(16) == 4);
  CHECK(places_of<DenseBits>(255) == 4);
}

TEST_CASE("truths that are neither 0 nor 1 are no representation", "[representation]") {
  CHECK(places_of<bool>(1) == 1);
  CHECK(places_of<bool>(2) == 0);
  CHECK(places_of<bool>(255) == 0);
  CHECK(places_of<Holes>(2) == 1 + 4);
  CHECK(places_of<Holes>(255) == 1 + 4);
  CHECK(places_of<Deep>(2) == 1 + 2 * 5);
  CHECK(places_of<std::array<bool, 4>>(2) == 0);
}

/// Each byte of `count` Ts is a stranger's in turn: is it found, and does writing remove it?
template <class T>
void check_many(std::size_t count) {
  INFO(sizeof(T) << " bytes, " << count << " times");
  auto const size = count * sizeof(T);
  std::array<std::byte, sizeof(T)> belongs;
  belongs.fill(std::byte{0xff});
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    std::array<std::byte, sizeof(T)> one{};
    for (int bit = 0; bit < 8; ++bit) {
      one[i] = std::byte{1} << bit;
      if (!is_one<T>(one)) belongs[i] &= ~(std::byte{1} << bit);
    }
  }
  std::vector<std::byte> bytes(size);
  auto const* const values = reinterpret_cast<T const*>(bytes.data());
  std::vector<std::byte> written(size + 1, std::byte{0xEE});
  int wrong = 0;
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = std::byte{0xff};
    auto const mask = belongs[i % sizeof(T)];
    wrong += wire::are_representations<T>(bytes.data(), count) == (mask == std::byte{0xff}) ? 0 : 1;
    wire::write_representations(written.data(), values, count);
    wrong += written[i] == mask ? 0 : 1;
    written[i] = std::byte{0};
    for (std::size_t k = 0; k < size; ++k) wrong += written[k] == std::byte{0} ? 0 : 1;
    bytes[i] = std::byte{0};
  }
  CHECK(wrong == 0);
  CHECK(written[size] == std::byte{0xEE});
}

TEST_CASE("in a range all bytes are looked at, whatever the number of values", "[representation]") {
  for (std::size_t const count : {0u, 1u, 2u, 3u, 5u, 7u, 8u, 9u, 17u, 33u}) {
    check_many<Three>(count);
    check_many<Five>(count);
    check_many<Ten>(count);
    check_many<Twelve>(count);
    check_many<Twenty>(count);
    check_many<Forty>(count);
    check_many<Long>(count);
    check_many<std::array<Five, 3>>(count);
    check_many<bool>(count * 13);
    check_many<Short>(count * 7);
    check_many<Holes>(count);
    check_many<Odd>(count);
    check_many<Bits>(count);
    check_many<Deep>(count);
    check_many<FewHoles>(count);
    check_many<NoDefault>(count);
    check_many<long double>(count);
  }
}

/// `count` Ts, all bytes 0xff, are written; what stands where `is_member` finds none, is zero.
template <class T>
void check_large(std::size_t count, auto const& is_member) {
  INFO(sizeof(T) << " bytes, " << count << " times");
  auto const size = count * sizeof(T);
  std::vector<std::byte> const bytes(size, std::byte{0xff});
  std::vector<std::byte> written(size, std::byte{0xEE});
  wire::write_representations(written.data(), reinterpret_cast<T const*>(bytes.data()), count);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < size; ++i) {
    auto const right = is_member(i % sizeof(T)) ? std::byte{0xff} : std::byte{0};
    wrong += written[i] == right ? 0u : 1u;
  }
  CHECK(wrong == 0);
  CHECK(wire::are_representations<T>(written.data(), count));
}

TEST_CASE("nothing is left in the padding of many values", "[representation]") {
  auto const in = [](std::size_t i, std::size_t first, std::size_t size) {
    return i - first < size;  // wraps below
  };
  for (std::size_t const count : {1u, 100u, 10'001u, 100'000u}) {
    check_large<Ten>(count, [&](std::size_t i) {
      return i == 0 || in(i, 2, 2) || i == 4 || in(i, 6, 2) || i == 8;
    });
    check_large<Twelve>(count, [&](std::size_t i) { return in(i, 0, 2) || in(i, 4, 5); });
    check_large<Twenty>(count, [&](std::size_t i) { return in(i, 0, 5) || in(i, 8, 12); });
    check_large<Forty>(count, [&](std::size_t i) { return i == 0 || in(i, 8, 28); });
    check_large<long double>(count, [&](std::size_t i) {
      return in(i, 0, LDBL_MANT_DIG > 64 ? 16 : 10);
    });
    check_large<std::array<Twelve, 3>>(
        count, [&](std::size_t i) { return in(i % 12, 0, 2) || in(i % 12, 4, 5); });
  }
}

TEST_CASE("padding of a struct in a struct is padding", "[representation]") {
  check_many<Nested>(1);
  check_many<Nested>(5);
  Nested values[50];
  std::memset(static_cast<void*>(values), 0xff, sizeof values);
  for (auto& each : values) {
    each.head = 'h';
    each.twelve.a = 1;
    each.twelve.b = 2;
    each.twelve.c = 'c';
    for (auto& ten : each.tens) {
      ten.head = ten.middle = ten.tail = 't';
      ten.a = ten.b = 3;
    }
    each.flag = true;
    each.last.head = 'l';
    each.last.value = 4;
    each.last.tail = false;
  }
  std::vector<std::byte> written(sizeof values);
  wire::write_representations(written.data(), values, 50);
  CHECK(wire::are_representations<Nested>(written.data(), 50));
  Nested clean{};
  clean.head = 'h';
  clean.twelve = {1, 2, 'c'};
  for (auto& ten : clean.tens) ten = {'t', 3, 't', 3, 't'};
  clean.flag = true;
  clean.last = {'l', 4, false};
  std::vector<std::byte> expected(sizeof clean);
  wire::write_representations(expected.data(), &clean, 1);
  for (std::size_t i = 0; i < 50; ++i) {
    auto const begin = written.begin() + static_cast<std::ptrdiff_t>(i * sizeof clean);
    CHECK(std::equal(expected.begin(), expected.end(), begin));
  }
}

namespace {
class Base {
 public:
  constexpr Base() = default;
  constexpr Base(int i, char c) : i_(i), c_(c) {}
  int sum() const { return i_ + c_; }

 private:
  int i_ = 0;
  char c_ = 0;
};
struct Derived : Base {
  char in_the_tail = 'x';
};
}  // namespace

TEST_CASE("reading leaves alone what lies in the tail of a value", "[representation]") {
  Derived derived;
  auto const bytes = written(Base(7, 'c'));
  wire::read_representation(bytes.data(), static_cast<Base&>(derived));
  CHECK(derived.sum() == 7 + 'c');
  CHECK(derived.in_the_tail == 'x');
}

}  // namespace representation_test
