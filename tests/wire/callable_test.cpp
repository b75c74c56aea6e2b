// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/wire/callable.hpp>

#include <functional>
#include <string>
#include <vector>

#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/bind.hpp>

#include "../support/catch.hpp"

namespace callable_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;

namespace {

int square(int x) { return x * x; }

template <class F>
F sent(F const& callable) {
  wire::require_sendable<F>();
  wire::Bytes bytes;
  wire::encode(bytes, callable);
  std::span<std::byte const> rest(bytes);
  auto const modules = mp::os::ModuleTable::now();
  F arrived = wire::decode<F>(rest, &modules);
  CHECK(rest.empty());
  return arrived;
}

struct Functor {
  int factor;
  int operator()(int x) const { return factor * x; }
};
struct Holder {
  std::string text;
  std::vector<int> numbers;
  std::size_t operator()(std::size_t x) const { return x + text.size() + numbers.size(); }
};
struct WithFunction {
  int (*function)(int);
  int operator()(int x) const { return function(x); }
};
class Serializable {
 public:
  Serializable() = default;
  explicit Serializable(std::string text) : text_(std::move(text)) {}
  std::string operator()(std::string const& more) const { return text_ + more; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_);
  }

 private:
  std::string text_;
};
struct HoldsPointer {
  int* pointer;
  int operator()(int x) const { return *pointer + x; }
};
struct Member {
  int factor = 2;
  int times(int x) const { return factor * x; }
};

static_assert(wire::Sendable<int (*)(int)> && wire::Sendable<Functor> && wire::Sendable<Holder>);
static_assert(wire::Sendable<Serializable> && wire::Sendable<WithFunction>);
static_assert(wire::Sendable<int (Member::*)(int) const> && wire::Sendable<int Member::*>);
static_assert(!wire::Sendable<HoldsPointer> && !wire::Sendable<std::function<int(int)>>);
static_assert(!wire::Sendable<int> && !wire::Sendable<int*> && !wire::Sendable<std::vector<int*>>);

}  // namespace

TEST_CASE("functions and lambdas work after the journey", "[callable]") {
  int n = 10;
  CHECK(sent(&square)(5) == 25);
  CHECK(sent([](int x) { return x + 1; })(1) == 2);
  CHECK(sent([n](int x) { return x + n; })(1) == 11);
  CHECK(sent([n, real = 2.5, flag = true](int x) { return flag ? x + n + real : 0; })(1) == 13.5);
  CHECK(sent([](auto x) { return x + x; })(std::string("a")) == "aa");
  CHECK(sent([n](auto x) { return x + n; })(1) == 11);
  CHECK(sent([array = std::array<int, 3>{1, 2, 3}](std::size_t i) { return array[i]; })(1) == 2);
}

TEST_CASE("function objects work after the journey", "[callable]") {
  CHECK(sent(Functor{3})(4) == 12);
  CHECK(sent(Holder{"text", {1, 2}})(1) == 7);
  CHECK(sent(Serializable("a"))("b") == "ab");
  CHECK(sent(WithFunction{&square})(3) == 9);
  CHECK(sent(std::plus<>())(1, 2) == 3);
  CHECK(sent(std::less<int>())(1, 2));
}

TEST_CASE("members and bound functions work after the journey", "[callable]") {
  Member const member;
  CHECK((member.*sent(&Member::times))(3) == 6);
  CHECK(member.*sent(&Member::factor) == 2);
  CHECK(sent(mp::bind(&Member::times, Member{5}))(3) == 15);
  CHECK(sent(mp::bind(square, 3))() == 9);
}

}  // namespace callable_test
