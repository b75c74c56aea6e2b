// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/aggregate.hpp>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/catch.hpp"

namespace aggregate_test {

namespace wire = multiprocessing::wire;

namespace {

using wire::AggregateFault;
using wire::TypeList;

struct Inner {
  std::string text;
  int number;
};
struct Outer {
  int number = 7;
  Inner inner = {"default", 1};
  std::optional<Inner> maybe;
  std::vector<Outer> more;
  std::unique_ptr<Outer> next;
};
struct Empty {};
struct Base {
  int number;
};
struct WithBase : Base {
  std::string text;
};
struct WithBaseAndDefault : Inner {
  std::string other = "default";
};
struct WithReference {
  int& reference;
  std::string text;
};
struct WithConst {
  int const number;
  std::string text;
};
struct WithMutex {
  std::mutex mutex;
};
struct WithArray {
  std::string text;
  int numbers[3];
};
struct WithArrayOfTwo {
  std::string more[2];
  std::string text;
};
struct WithArrayOfStructs {
  Inner inner[2];
};
struct WithPairs {
  std::pair<int, int> pair;
  std::array<int, 2> array;
  std::array<std::string, 2> texts;
  std::vector<int> numbers;
  std::map<int, int> map;
};
struct WithConstructor {
  explicit WithConstructor(int) {}
  std::string text;
};
union Either {
  int number;
  float real;
};
#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
struct HundredAndOne {
  std::string first;
  int TEN(a), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g), TEN(h), TEN(i), TEN(j);
};
struct Hundred {
  std::string first;
  int TEN(a), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g), TEN(h), TEN(i);
  int j1, j2, j3, j4, j5, j6, j7, j8, j9;
};
struct ThreeHundred {
  std::string first;
  std::string TEN(a), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g), TEN(h), TEN(i), TEN(j);
  int TEN(k), TEN(l), TEN(m), TEN(n), TEN(o), TEN(p), TEN(q), TEN(r), TEN(s), TEN(t);
  int TEN(u), TEN(v), TEN(w), TEN(x), TEN(y), TEN(z), TEN(A), TEN(B), TEN(C), TEN(D);
};
#undef TEN

static_assert(wire::Aggregate<Inner> && wire::Aggregate<Outer> && wire::Aggregate<WithBase>);
static_assert(!wire::Aggregate<Empty> && !wire::Aggregate<int> && !wire::Aggregate<Either>);
static_assert(!wire::Aggregate<WithConstructor> && !wire::Aggregate<std::string>);
static_assert(!wire::Aggregate<int[2]>);

static_assert(wire::kAggregateFault<Inner> == AggregateFault::None);
static_assert(wire::kAggregateFault<Outer> == AggregateFault::None);
static_assert(wire::kAggregateFault<WithPairs> == AggregateFault::None);
static_assert(wire::kAggregateFault<Hundred> == AggregateFault::None);

}  // namespace

TEST_CASE("the members of a struct are found with their types", "[aggregate]") {
  STATIC_REQUIRE(std::is_same_v<wire::FieldTypes<Inner>, TypeList<std::string, int>>);
  STATIC_REQUIRE(
      std::is_same_v<
          wire::FieldTypes<Outer>,
          TypeList<int, Inner, std::optional<Inner>, std::vector<Outer>, std::unique_ptr<Outer>>>);
  STATIC_REQUIRE(
      std::is_same_v<wire::FieldTypes<WithPairs>,
                     TypeList<std::pair<int, int>, std::array<int, 2>, std::array<std::string, 2>,
                              std::vector<int>, std::map<int, int>>>);
}

TEST_CASE("the members of a struct are visited in their order", "[aggregate]") {
  Inner inner{"text", 7};
  std::string seen;
  wire::for_each_field(inner, [&](auto& field) {
    if constexpr (std::is_same_v<decltype(field), std::string&>) {
      seen += field + ';';
      field = "changed";
    } else {
      seen += std::to_string(field) + ';';
      field = 8;
    }
  });
  CHECK(seen == "text;7;");
  CHECK(inner.text == "changed");
  CHECK(inner.number == 8);
}

TEST_CASE("the members of a const struct are visited as const", "[aggregate]") {
  Outer const outer;
  int count = 0;
  wire::for_each_field(outer, [&](auto& field) {
    STATIC_REQUIRE(std::is_const_v<std::remove_reference_t<decltype(field)>>);
    ++count;
  });
  CHECK(count == 5);
}

TEST_CASE("a struct whose members can not be found is told by its fault", "[aggregate]") {
  STATIC_REQUIRE(wire::kAggregateFault<WithBase> == AggregateFault::HasBase);
  STATIC_REQUIRE(wire::kAggregateFault<WithBaseAndDefault> == AggregateFault::HasBase);
  STATIC_REQUIRE(wire::kAggregateFault<WithReference> == AggregateFault::CanNotBeAssigned);
  STATIC_REQUIRE(wire::kAggregateFault<WithConst> == AggregateFault::CanNotBeAssigned);
  STATIC_REQUIRE(wire::kAggregateFault<WithMutex> == AggregateFault::CanNotBeAssigned);
  STATIC_REQUIRE(wire::kAggregateFault<WithArray> == AggregateFault::HasArray);
  STATIC_REQUIRE(wire::kAggregateFault<WithArrayOfTwo> == AggregateFault::HasArray);
  STATIC_REQUIRE(wire::kAggregateFault<WithArrayOfStructs> == AggregateFault::HasArray);
  STATIC_REQUIRE(wire::kAggregateFault<HundredAndOne> == AggregateFault::HasTooManyFields);
  STATIC_REQUIRE(wire::kAggregateFault<ThreeHundred> == AggregateFault::HasTooManyFields);
}

}  // namespace aggregate_test
