// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pickle.hpp>

#include <array>
#include <bitset>
#include <cfloat>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/pickled.hpp"

namespace pickle_test {

namespace mp = multiprocessing;
using support::holds_byte;
using support::pickled;
using support::returns;

namespace {

template <class Adaptor>
std::vector<int> emptied(Adaptor adaptor) {
  std::vector<int> values;
  for (; !adaptor.empty(); adaptor.pop()) {
    if constexpr (requires { adaptor.top(); }) {
      values.push_back(adaptor.top());
    } else {
      values.push_back(adaptor.front());
    }
  }
  return values;
}

enum Plain { kRed, kGreen };
enum class Small : std::uint8_t { One = 1, Last = 255 };

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(Point const&) const = default;
};
struct Row {
  char name[8];
  unsigned low : 3;
  unsigned high : 29;
  double values[2];
};
struct Derived : Point {
  int z;
};
struct alignas(64) Wide {
  int number;
  bool operator==(Wide const&) const = default;
};
class Fixed {
 public:
  constexpr explicit Fixed(int value) : value_(value) {}
  bool operator==(Fixed const&) const = default;

 private:
  int value_;
};

}  // namespace

TEST_CASE("numbers and characters and enumerators arrive as they were", "[pickle]") {
  CHECK(returns(true));
  CHECK(returns(false));
  CHECK(returns('x'));
  CHECK(returns(static_cast<signed char>(-1)));
  CHECK(returns(static_cast<unsigned char>(255)));
  CHECK(returns(L'\u20ac'));
  CHECK(returns(u8'x'));
  CHECK(returns(u'\u20ac'));
  CHECK(returns(U'\U0001F600'));
  CHECK(returns(std::byte{7}));
  CHECK(returns(std::numeric_limits<short>::min()));
  CHECK(returns(std::numeric_limits<unsigned short>::max()));
  CHECK(returns(-1));
  CHECK(returns(std::numeric_limits<unsigned>::max()));
  CHECK(returns(std::numeric_limits<long>::min()));
  CHECK(returns(std::numeric_limits<unsigned long>::max()));
  CHECK(returns(std::numeric_limits<long long>::min()));
  CHECK(returns(std::numeric_limits<unsigned long long>::max()));
  CHECK(returns(1.5F));
  CHECK(returns(std::numeric_limits<double>::denorm_min()));
  CHECK(returns(std::numeric_limits<double>::infinity()));
  CHECK(returns(std::numeric_limits<long double>::max()));
  CHECK(returns(-1.25L));
  CHECK(returns(kGreen));
  CHECK(returns(Small::Last));
}

TEST_CASE("texts arrive as they were", "[pickle]") {
  CHECK(returns(std::string()));
  CHECK(returns(std::string("with a \0 inside", 15)));
  CHECK(returns(std::string(100'000, 'x')));
  CHECK(returns(std::wstring(L"wide \u20ac")));
  CHECK(returns(std::u8string(u8"\u20ac")));
  CHECK(returns(std::u16string(u"\u20ac")));
  CHECK(returns(std::u32string(U"\U0001F600")));
  CHECK(returns(std::filesystem::path("/a/b c/\xff.txt")));
  CHECK(returns(std::filesystem::path()));
}

TEST_CASE("sequences arrive as they were", "[pickle]") {
  CHECK(returns(std::vector<int>{}));
  CHECK(returns(std::vector<int>{1, 2, 3}));
  CHECK(returns(std::vector<long double>{1, 2.5L}));
  CHECK(returns(std::vector<std::byte>(1000, std::byte{0xab})));
  CHECK(returns(std::vector<bool>{}));
  CHECK(returns(std::vector<bool>{true, false, true}));
  CHECK(returns(std::vector<Plain>{kRed, kGreen}));
  CHECK(returns(std::vector<std::string>{"", "a", std::string(10'000, 'x')}));
  CHECK(returns(std::vector<std::vector<std::string>>{{}, {"a"}, {"b", "c"}}));
  CHECK(returns(std::vector<std::complex<double>>{{1, 2}, {3, 4}}));
  CHECK(returns(std::vector<std::array<short, 3>>{{1, 2, 3}, {4, 5, 6}}));
  CHECK(returns(std::deque<int>{1, 2}));
  CHECK(returns(std::deque<std::string>{"a", "b"}));
  CHECK(returns(std::list<int>{1, 2}));
  CHECK(returns(std::list<std::string>{"a"}));
  CHECK(returns(std::forward_list<int>{3, 1, 2}));
  CHECK(returns(std::forward_list<std::string>{}));
  CHECK(returns(std::array<int, 3>{1, 2, 3}));
  CHECK(returns(std::array<bool, 2>{true, false}));
  CHECK(returns(std::array<long double, 2>{1, 2}));
  CHECK(returns(std::array<std::string, 2>{"a", "b"}));
  CHECK(returns(std::array<std::array<Point, 2>, 2>{{{{{1, 2}, {3, 4}}}, {{{5, 6}, {7, 8}}}}}));
  auto const numbers = pickled(std::valarray<double>{1, 2, 3});
  CHECK(std::vector<double>(std::begin(numbers), std::end(numbers)) ==
        std::vector<double>{1, 2, 3});
  CHECK(pickled(std::valarray<std::string>{"a", "b"})[1] == "b");
}

TEST_CASE("an array of no elements arrives", "[pickle]") {
  CHECK(returns(std::array<int, 0>{}));
  CHECK(returns(std::array<std::string, 0>{}));
  CHECK(returns(std::vector<std::array<int, 0>>(2)));
}

TEST_CASE("an empty valarray arrives", "[pickle]") {
  CHECK(pickled(std::valarray<int>()).size() == 0);
  CHECK(pickled(std::valarray<std::string>()).size() == 0);
}

TEST_CASE("sets and maps arrive as they were", "[pickle]") {
  CHECK(returns(std::set<int>{3, 1, 2}));
  CHECK(returns(std::set<std::string, std::greater<>>{"a", "b"}));
  CHECK(returns(std::multiset<int>{1, 1, 2}));
  CHECK(returns(std::unordered_set<std::string>{"a", "b"}));
  CHECK(returns(std::unordered_multiset<int>{1, 1, 2}));
  CHECK(returns(std::map<std::string, int>{{"a", 1}, {"b", 2}}));
  CHECK(returns(std::map<int, std::map<int, std::string>>{{1, {{2, "c"}}}, {3, {}}}));
  CHECK(returns(std::multimap<int, std::string>{{1, "a"}, {1, "b"}}));
  CHECK(returns(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}}));
  CHECK(returns(std::unordered_multimap<int, int>{{1, 2}, {1, 3}}));
}

TEST_CASE("adaptors keep their elements and their order", "[pickle]") {
  std::queue<int> queue;
  std::stack<int> stack;
  std::priority_queue<int, std::vector<int>, std::greater<>> smallest_first;
  for (int const each : {2, 3, 1}) {
    queue.push(each);
    stack.push(each);
    smallest_first.push(each);
  }
  CHECK(emptied(pickled(queue)) == std::vector{2, 3, 1});
  CHECK(emptied(pickled(stack)) == std::vector{1, 3, 2});
  CHECK(emptied(pickled(smallest_first)) == std::vector{1, 2, 3});
}

TEST_CASE("vocabulary types arrive as they were", "[pickle]") {
  CHECK(returns(std::optional<int>()));
  CHECK(returns(std::optional<std::string>("a")));
  CHECK(returns(std::optional<std::optional<int>>(std::optional<int>())));
  CHECK(returns(std::monostate()));
  using Either = std::variant<std::monostate, int, std::string, std::vector<Point>>;
  CHECK(returns(Either()));
  CHECK(returns(Either(1)));
  CHECK(returns(Either("text")));
  CHECK(returns(Either(std::vector<Point>{{1, 2}})));
  CHECK(returns(std::tuple<>()));
  CHECK(returns(std::tuple(1, std::string("a"), 2.5, std::optional<int>(3))));
  CHECK(returns(std::pair(1, 'x')));
  CHECK(returns(std::pair(std::string("a"), std::vector{1})));
  CHECK(returns(std::bitset<5>(21)));
  CHECK(returns(std::bitset<64>(~0ULL)));
  CHECK(returns(~std::bitset<200>() << 100));
  CHECK(returns(std::bitset<1>()));
  CHECK(returns(std::complex<float>(1, 2)));
  CHECK(returns(std::complex<long double>(1, -2)));
}

TEST_CASE("durations and points of time arrive as they were", "[pickle]") {
  using namespace std::chrono_literals;
  CHECK(returns(5ns));
  CHECK(returns(std::chrono::duration<double, std::ratio<1, 3>>(1.5)));
  CHECK(returns(std::chrono::steady_clock::now()));
  CHECK(returns(std::chrono::system_clock::now()));
  CHECK(returns(std::vector{1s, 2s}));
}

TEST_CASE("structs of plain members arrive with arrays and bit-fields and bases", "[pickle]") {
  CHECK(returns(Point{1, 2}));
  CHECK(returns(std::vector<Point>{{1, 2}, {3, 4}}));
  Row const row{"seven", 5, 123'456'789, {1.5, 2.5}};
  for (auto const& arrived : {pickled(row), pickled(std::vector{row, row})[1]}) {
    CHECK(std::string(arrived.name) == "seven");
    CHECK(arrived.low == 5);
    CHECK(arrived.high == 123'456'789);
    CHECK(arrived.values[1] == 2.5);
  }
  Derived derived;
  derived.x = 1;
  derived.z = 3;
  CHECK(pickled(derived).x == 1);
  CHECK(pickled(derived).z == 3);
}

TEST_CASE("over-aligned structs arrive aligned", "[pickle]") {
  CHECK(returns(Wide{7}));
  CHECK(returns(std::vector<Wide>{{1}, {2}, {3}}));
  CHECK(returns(std::pair(std::string("x"), std::vector<Wide>{{1}, {2}})));
  auto const many = pickled(std::vector<Wide>(3));
  CHECK(reinterpret_cast<std::uintptr_t>(many.data()) % 64 == 0);
}

TEST_CASE("a plain type that can not be made of nothing arrives", "[pickle]") {
  static_assert(!std::is_default_constructible_v<Fixed>);
  CHECK(returns(Fixed(7)));
  CHECK(returns(std::vector{Fixed(1), Fixed(2)}));
}

TEST_CASE("plain values are their bytes without a length or a tag", "[pickle]") {
  CHECK(mp::dumps(42).size() == 8 + sizeof(int));
  CHECK(mp::dumps(Point{}).size() == 8 + sizeof(Point));
  CHECK(mp::dumps(std::vector<Point>(10)).size() == 8 + 8 + 10 * sizeof(Point));
}

namespace {

/// Padding inside, at the end, and before an inner struct.
struct Holes {
  char a;
  int b;
  bool c;
  double d;
  char e;
};
struct Nested {
  char a;
  std::array<Holes, 2> holes;
  short b;
  long double c;
};
struct Bits {
  unsigned a : 3;
  bool b : 1;
  int c : 18;
  char d;
  long e : 9;
};

void set(Holes& value) {
  value.a = 1;
  value.b = 2;
  value.c = true;
  value.d = 0.5;
  value.e = 3;
}
void set(long double& value) { value = 1.5L; }
void set(Nested& value) {
  value.a = 1;
  for (auto& each : value.holes) set(each);
  value.b = 2;
  set(value.c);
}
void set(Bits& value) {
  value.a = 5;
  value.b = true;
  value.c = -1000;
  value.d = 'x';
  value.e = -7;
}
template <class T, std::size_t n>
void set(std::array<T, n>& values) {
  for (auto& each : values) set(each);
}

constexpr unsigned char kGarbage = 0xEE;

/// A T in memory where every byte was `fill` before its members were set.
template <class T>
class Spoilt {
 public:
  explicit Spoilt(int fill) {
    static_assert(std::is_trivially_copyable_v<T>);
    value_ = new (storage_) T;
    spoil(*value_, fill);
  }
  static void spoil(T& value, int fill) {
    std::memset(static_cast<void*>(&value), fill, sizeof value);
    asm volatile("" : : "r"(&value) : "memory");  // somebody looks at it
    set(value);
    asm volatile("" : : "r"(&value) : "memory");
  }
  T const& operator*() const { return *value_; }

 private:
  alignas(T) std::byte storage_[sizeof(T)];
  T* value_;
};

template <class T>
void check_without_garbage() {
  Spoilt<T> const one(kGarbage);
  Spoilt<T> const other(0x55);
  CHECK(std::memcmp(&*one, &*other, sizeof(T)) != 0);
  CHECK(holds_byte(std::as_bytes(std::span(&*one, 1)), kGarbage));
  auto const bytes = mp::dumps(*one);
  CHECK(bytes == mp::dumps(*other));
  CHECK_FALSE(holds_byte(support::body_of(bytes), kGarbage));
  CHECK(mp::dumps(mp::loads<T>(bytes)) == bytes);
}
/// ... where `elements(container)` calls its argument for each T in it.
template <class T, class Container>
void check_without_garbage(Container one, auto const& for_each) {
  auto other = one;
  for_each(one, [](T& element) { Spoilt<T>::spoil(element, kGarbage); });
  for_each(other, [](T& element) { Spoilt<T>::spoil(element, 0x55); });
  auto const bytes = mp::dumps(one);
  CHECK(bytes == mp::dumps(other));
  CHECK_FALSE(holds_byte(support::body_of(bytes), kGarbage));
}
template <class T>
void check_containers_without_garbage() {
  auto const elements = [](auto& values, auto const& visit) {
    for (auto& each : values) visit(each);
  };
  check_without_garbage<T>(std::vector<T>(3), elements);
  check_without_garbage<T>(std::deque<T>(3), elements);
  check_without_garbage<T>(std::list<T>(3), elements);
  check_without_garbage<T>(std::valarray<T>(3), elements);
  check_without_garbage<T>(std::optional<T>(T()), [](auto& value, auto visit) { visit(*value); });
  check_without_garbage<T>(std::variant<int, T>(T()),
                           [](auto& value, auto visit) { visit(std::get<1>(value)); });
  check_without_garbage<T>(std::pair<char, T>(),
                           [](auto& value, auto visit) { visit(value.second); });
  check_without_garbage<T>(std::map<int, T>{{1, T()}},
                           [](auto& value, auto visit) { visit(value.begin()->second); });
  check_without_garbage<T>(std::vector<std::vector<T>>{std::vector<T>(2)},
                           [&](auto& values, auto visit) { elements(values[0], visit); });
}

}  // namespace

TEST_CASE("equal values are equal bytes whatever lies in their padding", "[pickle]") {
  check_without_garbage<Holes>();
  check_without_garbage<Nested>();
  check_without_garbage<Bits>();
  check_without_garbage<std::array<Holes, 3>>();
  check_without_garbage<std::array<Bits, 3>>();
  check_without_garbage<std::array<Nested, 2>>();
  if constexpr (LDBL_MANT_DIG == 64) {  // x86's: 10 bytes of 16; elsewhere there is no padding
    check_without_garbage<long double>();
    check_without_garbage<std::array<long double, 3>>();
    check_without_garbage<std::array<std::array<long double, 2>, 2>>();
  }
}

TEST_CASE("equal containers are equal bytes whatever lies in the padding", "[pickle]") {
  check_containers_without_garbage<Holes>();
  check_containers_without_garbage<Nested>();
  check_containers_without_garbage<Bits>();
  check_containers_without_garbage<long double>();
  check_containers_without_garbage<std::array<long double, 2>>();
}

namespace {

struct Inner {
  std::string text;
  Point point;
  bool operator==(Inner const&) const = default;
};
struct Outer {
  int number = 0;
  Inner inner;
  std::vector<Inner> more;
  std::optional<Inner> maybe;
  std::optional<int> number_or_none;
  std::map<std::string, Inner> named;
  bool operator==(Outer const&) const = default;
};
struct Tree {
  int value = 0;
  std::vector<Tree> children;
  bool operator==(Tree const&) const = default;
};
struct Chain {
  std::string text;
  std::unique_ptr<Chain> next;
};
struct WithDefaults {
  std::string text = "default";
  std::vector<int> numbers = {1, 2, 3};
  std::optional<std::string> maybe = "maybe";
  std::filesystem::path path = "/tmp";
  int number = 7;
  bool operator==(WithDefaults const&) const = default;
};
struct Empty {
  bool operator==(Empty const&) const = default;
};
struct WithEmpty {
  Empty empty;
  std::string text;
  std::monostate nothing;
  bool operator==(WithEmpty const&) const = default;
};
#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
struct Hundred {
  std::string first;
  short s1, s2, s3, s4, s5, s6, s7, s8, s9;
  int TEN(a), TEN(b), TEN(c);
  double TEN(d), TEN(e), TEN(f);
  char TEN(g), TEN(h);
  std::string TEN(i);
  bool operator==(Hundred const&) const = default;
};
#undef TEN

}  // namespace

TEST_CASE("structs arrive without a word from their author", "[pickle]") {
  Outer const outer{1,  {"a", {1, 2}},         {{"b", {3, 4}}, {"c", {}}}, Inner{"d", {5, 6}},
                    {}, {{"e", {"f", {7, 8}}}}};
  CHECK(returns(outer));
  CHECK(returns(std::vector{outer, Outer{}, outer}));
  CHECK(returns(Outer{}));
  CHECK(returns(WithEmpty{{}, "text", {}}));
  CHECK(returns(Empty{}));
  CHECK(returns(std::vector<Empty>(3)));
}

TEST_CASE("structs that hold their own kind arrive", "[pickle]") {
  CHECK(returns(Tree{1, {{2, {}}, {3, {{4, {}}, {5, {}}}}}}));
  Chain chain{"a", std::make_unique<Chain>()};
  chain.next->text = "b";
  auto const arrived = pickled(chain);
  CHECK(arrived.text == "a");
  REQUIRE(arrived.next != nullptr);
  CHECK(arrived.next->text == "b");
  CHECK(arrived.next->next == nullptr);
}

TEST_CASE("members with defaults arrive with their values", "[pickle]") {
  CHECK(returns(WithDefaults{}));
  CHECK(returns(WithDefaults{"", {}, {}, "", 0}));
}

TEST_CASE("a struct of a hundred members arrives", "[pickle]") {
  Hundred hundred{};
  hundred.first = "first";
  hundred.s9 = 9;
  hundred.f9 = 2.5;
  hundred.i9 = "last";
  CHECK(returns(hundred));
}

TEST_CASE("another type than was sent is refused by its name", "[pickle]") {
  auto const bytes = mp::dumps(std::string("text"));
  auto const text = support::message_of<mp::TypeError>([&] { (void)mp::loads<Point>(bytes); });
  CHECK_THAT(text, ContainsSubstring("another type"));
  CHECK_THAT(text, ContainsSubstring("Point"));
  CHECK_THROWS_AS(mp::loads<int>(mp::dumps(1U)), mp::TypeError);
  CHECK_THROWS_AS(mp::loads<std::deque<int>>(mp::dumps(std::vector{1})), mp::TypeError);
}

TEST_CASE("bytes that are left over are an error", "[pickle]") {
  auto bytes = mp::dumps(std::string("text"));
  bytes.push_back(std::byte{0});
  auto const text =
      support::message_of<mp::UnpicklingError>([&] { (void)mp::loads<std::string>(bytes); });
  CHECK_THAT(text, ContainsSubstring("1 bytes are left"));
}

TEST_CASE("messages may lie at odd addresses", "[pickle]") {
  Outer const outer{1, {"a", {1, 2}}, {{"b", {3, 4}}}, {}, 7, {}};
  std::pair const many(std::string("x"), std::vector{1.5L, 2.5L});
  std::vector<Wide> const wide(3);
  auto const check = [](auto const& value) {
    auto const bytes = mp::dumps(value);
    for (std::size_t shift = 0; shift < 16; ++shift) {
      mp::Bytes shifted(shift);
      shifted.insert(shifted.end(), bytes.begin(), bytes.end());
      using T = std::decay_t<decltype(value)>;
      CHECK(mp::loads<T>(std::span(shifted).subspan(shift)) == value);
    }
  };
  check(outer);
  check(many);
  check(wide);
  check(std::u32string(U"text"));
  check(std::vector<std::uint16_t>{1, 2, 3});
}

}  // namespace pickle_test
