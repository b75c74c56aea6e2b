// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/bitwise.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../support/catch.hpp"

namespace {

using multiprocessing::wire::Bitwise;

enum class Color { Red };
struct Point {
  int x;
  double y;
  char name[8];
};
struct Nested {
  Point points[3];
  std::array<Color, 2> colors;
};
struct WithPointer {
  int* p;
};
struct DeepPointer {
  Nested nested;
  std::array<WithPointer, 1> deep;
};
class Opaque {
 public:
  explicit Opaque(int value) : value_(value) {}
  int value() const { return value_; }

 private:
  int value_;
};
struct PointerArray {
  char const* names[2];
};
struct WithReference {
  int& r;
};
class Private {
 public:
  constexpr explicit Private(int value) : value_(value) {}
  int value() const { return value_; }

 private:
  int value_;
};

static_assert(Bitwise<int> && Bitwise<double> && Bitwise<bool> && Bitwise<char> && Bitwise<Color>);
static_assert(Bitwise<Point> && Bitwise<Nested> && Bitwise<Private>);
static_assert(Bitwise<std::array<int, 1'000'000>>);

static_assert(!Bitwise<int*> && !Bitwise<char const*> && !Bitwise<void (*)()>);
static_assert(!Bitwise<std::nullptr_t> && !Bitwise<int&> && !Bitwise<void>);
static_assert(!Bitwise<PointerArray>);
static_assert(!Bitwise<Opaque>);  // the compiler can not look into it
static_assert(!Bitwise<WithPointer> && !Bitwise<DeepPointer> && !Bitwise<WithReference>);
static_assert(!Bitwise<std::array<int*, 2>>);
static_assert(!Bitwise<std::string> && !Bitwise<std::vector<int>>);
static_assert(!Bitwise<std::string_view> && !Bitwise<std::span<int>>);
static_assert(!Bitwise<std::reference_wrapper<int>>);
static_assert(!Bitwise<std::optional<int*>>);  // a union may hide a pointer

}  // namespace

TEST_CASE("lambdas are their bytes exactly when they capture plain values", "[bitwise]") {
  int number = 1;
  double real = 2;
  auto const by_value = [number, real] { return number + static_cast<int>(real); };
  auto const by_reference = [&number] { return number; };
  auto const pointer = [p = &number] { return *p; };
  int* const pointers[] = {&number, &number};
  auto const array = [pointers] { return *pointers[0]; };
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(array)>>);
  STATIC_REQUIRE(Bitwise<std::remove_const_t<decltype(by_value)>>);
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(by_reference)>>);
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(pointer)>>);
  CHECK(by_value() + by_reference() + pointer() + array() == 6);
}
