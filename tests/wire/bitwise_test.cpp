// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/bitwise.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "../support/catch.hpp"

namespace bitwise_test {

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
struct FunctionPointer {
  int (*function)(int);
};
struct MemberPointer {
  int Point::*member;
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
struct DeepPointerArray {
  int number;
  PointerArray pointers[2];
};
struct WithReference {
  int& r;
};
struct Bits {
  unsigned low : 3;
  bool flag : 1;
  int : 2;
  Color color : 4;
  long rest;
};
struct BitsAndPointer {
  unsigned low : 3;
  int* pointer;
};
struct BitsOfBits {
  Bits bits[2];
  char last;
};
struct Base {
  int number;
};
struct WithBase : Base {
  int more;
};
struct WithPointerInBase : WithPointer {
  int more;
};
struct WithConst {
  int const number;
};
struct Empty {};
union Either {
  int number;
  float real;
};
struct WithUnion {
  Either either;
};
struct alignas(64) Wide {
  int number;
};
struct Virtual {
  virtual ~Virtual() = default;
};
class Private {
 public:
  constexpr explicit Private(int value) : value_(value) {}
  int value() const { return value_; }

 private:
  int value_;
};

static_assert(Bitwise<int> && Bitwise<double> && Bitwise<bool> && Bitwise<char> && Bitwise<Color>);
static_assert(Bitwise<long double> && Bitwise<wchar_t> && Bitwise<char8_t> && Bitwise<std::byte>);
static_assert(Bitwise<Point> && Bitwise<Nested> && Bitwise<Private> && Bitwise<Empty>);
static_assert(Bitwise<WithBase> && Bitwise<WithConst> && Bitwise<Wide>);
static_assert(Bitwise<Bits> && Bitwise<BitsOfBits>);
static_assert(Bitwise<std::array<int, 1'000'000>> && Bitwise<std::array<Point, 2>>);

static_assert(!Bitwise<int*> && !Bitwise<char const*> && !Bitwise<void (*)()>);
static_assert(!Bitwise<int Point::*> && !Bitwise<int (Private::*)() const>);
static_assert(!Bitwise<std::nullptr_t> && !Bitwise<int&> && !Bitwise<void> && !Bitwise<int[2]>);
static_assert(!Bitwise<WithPointer> && !Bitwise<DeepPointer> && !Bitwise<WithReference>);
static_assert(!Bitwise<PointerArray> && !Bitwise<DeepPointerArray> && !Bitwise<BitsAndPointer>);
static_assert(!Bitwise<FunctionPointer> && !Bitwise<MemberPointer> && !Bitwise<WithPointerInBase>);
static_assert(!Bitwise<Opaque>);  // the compiler can not look into it
static_assert(!Bitwise<std::array<int*, 2>> && !Bitwise<std::array<PointerArray, 2>>);
static_assert(!Bitwise<std::string> && !Bitwise<std::vector<int>> && !Bitwise<Virtual>);
static_assert(!Bitwise<std::string_view> && !Bitwise<std::span<int>>);
static_assert(!Bitwise<std::reference_wrapper<int>>);
static_assert(!Bitwise<Either> && !Bitwise<WithUnion>);
static_assert(!Bitwise<std::optional<int*>> && !Bitwise<std::variant<int, char*>>);

}  // namespace

TEST_CASE("lambdas are their bytes exactly when they capture plain values", "[bitwise]") {
  int number = 1;
  double real = 2;
  auto const by_value = [number, real] { return number + static_cast<int>(real); };
  auto const by_reference = [&number] { return number; };
  auto const pointer = [p = &number] { return *p; };
  int* const pointers[] = {&number, &number};
  auto const array = [pointers] { return *pointers[0]; };
  std::string const text = "text";
  auto const owning = [text] { return static_cast<int>(text.size()); };
  auto const generic = [number](auto x) { return x + number; };
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(array)>>);
  STATIC_REQUIRE(Bitwise<std::remove_const_t<decltype(by_value)>>);
  STATIC_REQUIRE(Bitwise<std::remove_const_t<decltype(generic)>>);
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(by_reference)>>);
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(pointer)>>);
  STATIC_REQUIRE_FALSE(Bitwise<std::remove_const_t<decltype(owning)>>);
  CHECK(by_value() + by_reference() + pointer() + array() + owning() + generic(1) == 12);
}

TEST_CASE("a long double hides no pointer", "[bitwise]") {
  struct Reals {
    long double real;
    char const* names[1];
  };
  struct Real {
    long double real;
    long double more[2];
    int number;
  };
  STATIC_REQUIRE(Bitwise<Real>);
  STATIC_REQUIRE_FALSE(Bitwise<Reals>);
}

}  // namespace bitwise_test
