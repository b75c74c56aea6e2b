// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/bind.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/wire/code_pointer.hpp>

#include "../support/catch.hpp"

namespace bind_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

int add(int a, int b) { return 10 * a + b; }
std::string join(std::string const& a, std::string const& b) { return a + b; }
int sum(std::unique_ptr<int> const& a, int b) { return *a + b; }
int& count(std::vector<int>& counts, std::size_t i) { return counts[i]; }

template <class T>
T sent(T const& value) {
  wire::Bytes bytes;
  wire::encode(bytes, value);
  std::span<std::byte const> rest(bytes);
  T arrived = wire::decode<T>(rest);
  CHECK(rest.empty());
  return arrived;
}

class Adder {
 public:
  explicit Adder(int number = 0) : number_(number) {}
  int add(int x) const { return number_ + x; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_);
  }

 private:
  int number_;
};
class NoDefault {
 public:
  constexpr explicit NoDefault(int number) : number_(number) {}
  constexpr int number() const { return number_; }

 private:
  int number_;
};
struct Bad {
  int* pointer;
};

static_assert(wire::Picklable<decltype(mp::bind(add, 1))>);
static_assert(wire::Picklable<decltype(mp::bind(join, std::string()))>);
static_assert(!wire::Picklable<decltype(mp::bind(add, Bad()))>);
static_assert(!wire::Picklable<decltype(mp::bind(join, "text"))>);
static_assert(std::is_invocable_v<decltype(mp::bind(add, 1)) const&, int>);
static_assert(!std::is_invocable_v<decltype(mp::bind(add, 1)) const&, std::string>);
static_assert(!std::is_invocable_v<decltype(mp::bind(add, 1)) const&>);

}  // namespace

TEST_CASE("bound arguments come first", "[bind]") {
  CHECK(mp::bind(add)(1, 2) == 12);
  CHECK(mp::bind(add, 1)(2) == 12);
  CHECK(mp::bind(add, 1, 2)() == 12);
}

TEST_CASE("bound arguments are copies that arrive", "[bind]") {
  std::string text = "a";
  auto const bound = mp::bind(join, text);
  text = "changed";
  CHECK(bound("b") == "ab");
  CHECK(sent(bound)("b") == "ab");
  CHECK(sent(mp::bind(add, 1, 2))() == 12);
  CHECK(sent(mp::bind([](std::vector<std::string> const& all, std::size_t i) { return all[i]; },
                      std::vector<std::string>{"x", "y"}))(1) == "y");
}

TEST_CASE("what is bound may be bound itself", "[bind]") {
  auto const inner = mp::bind(join, std::string("a"));
  auto const outer = mp::bind(inner, std::string("b"));
  CHECK(outer() == "ab");
  CHECK(sent(outer)() == "ab");
  auto const called =
      mp::bind([](auto const& f, std::string const& x) { return f(x) + "!"; }, inner);
  CHECK(sent(called)("c") == "ac!");
}

TEST_CASE("members can be bound to their object", "[bind]") {
  CHECK(sent(mp::bind(&Adder::add, Adder(3)))(4) == 7);
  CHECK(sent(mp::bind(&Adder::add))(Adder(3), 4) == 7);
}

TEST_CASE("move-only arguments can be bound", "[bind]") {
  auto const bound = mp::bind(sum, std::make_unique<int>(3));
  CHECK(bound(4) == 7);
  CHECK(sent(bound)(4) == 7);
}

TEST_CASE("bound arguments need no default constructor", "[bind]") {
  auto const bound =
      mp::bind([](NoDefault const& a, int b) { return a.number() + b; }, NoDefault(3));
  CHECK(sent(bound)(4) == 7);
}

TEST_CASE("a call may change what is bound", "[bind]") {
  auto counter = mp::bind(count, std::vector<int>(3));
  counter(1U) += 5;
  CHECK(counter(1U) == 5);
  CHECK(sent(counter)(1U) == 5);
}

}  // namespace bind_test
