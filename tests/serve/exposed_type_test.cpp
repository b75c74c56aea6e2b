// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/exposed_type.hpp>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace exposed_type_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::serve;

namespace {

struct Counter {
  explicit Counter(int start) : value(start) {}
  int add(int n) { return value += n; }
  int get() const noexcept { return value; }
  void reset() noexcept { value = 0; }
  int value;
};

int subtract(Counter& counter, int n) { return counter.value -= n; }
int seven() { return 7; }

template <class Result, class... Args>
Result call(ExposedMethod const& method, ExposedObject& object, Args const&... args) {
  CHECK(method.signature == Signature::of<Result, Args...>());
  wire::Bytes bytes;
  (wire::encode(bytes, args), ...);
  wire::Bytes reply;
  method.call(object, bytes, reply);
  if constexpr (!std::is_void_v<Result>) {
    std::span<std::byte const> rest = reply;
    return take_foreign<Result>(rest);
  }
}

constexpr auto kAlone = Exclusion::OneCallAtATime;

}  // namespace

TEST_CASE("members, functions and lambdas are methods", "[exposed_type]") {
  ExposedObject object = {std::make_shared<Counter>(1), {}};
  CHECK(call<int>(describe_method<Counter>(&Counter::add, kAlone), object, 4) == 5);
  CHECK(call<int>(describe_method<Counter>(&subtract, kAlone), object, 2) == 3);
  int by = 10;
  auto const times = [by](Counter& counter) { return counter.value *= by; };
  CHECK(call<int>(describe_method<Counter>(times, kAlone), object) == 30);
  CHECK(call<int>(describe_method<Counter>(&Counter::get, kAlone), object) == 30);
  call<void>(describe_method<Counter>(&Counter::reset, kAlone), object);
  CHECK(call<int>(describe_method<Counter>(&Counter::get, kAlone), object) == 0);
}

TEST_CASE("a signature tells types of arguments and result", "[exposed_type]") {
  STATIC_REQUIRE(Signature::of<int, int>() == Signature::of<int, int>());
  STATIC_REQUIRE_FALSE(Signature::of<int, int>() == Signature::of<int, long>());
  STATIC_REQUIRE_FALSE(Signature::of<int, int>() == Signature::of<long, int>());
  STATIC_REQUIRE_FALSE(Signature::of<int>() == Signature::of<void>());
  STATIC_REQUIRE(std::is_same_v<Sent<char const(&)[5]>, std::string>);
  STATIC_REQUIRE(std::is_same_v<Sent<char const*>, std::string>);
  STATIC_REQUIRE(std::is_same_v<Sent<int const&>, int>);
}

TEST_CASE("a method is found by its name, or its pointer", "[exposed_type]") {
  auto type = describe_type<Counter, int>("Counter", kAlone);
  type.methods.emplace("add", describe_method<Counter>(&Counter::add, kAlone));
  type.methods.emplace("get", describe_method<Counter>(&Counter::get, kAlone));
  CHECK(type.name_of(&Counter::add) == "add");
  CHECK(type.name_of<int (Counter::*)() const>(&Counter::get) == "get");
  CHECK(type.method("add").declaration == "int (int)");
  CHECK(support::message_of<std::invalid_argument>([&] { type.method("sub"); }) ==
        "no method Counter.sub is registered");
  CHECK_THROWS_AS(type.name_of(&Counter::reset), std::invalid_argument);
}

TEST_CASE("what has no such constructor is not made by others", "[exposed_type]") {
  CHECK_FALSE(describe_type<Counter>("Counter", kAlone).make);
  auto const type = describe_type<Counter, int>("Counter", kAlone);
  wire::Bytes bytes;
  wire::encode(bytes, 5);
  CHECK(std::static_pointer_cast<Counter>(type.make(bytes))->value == 5);
  CHECK_THROWS_AS(type.make({}), mp::UnpicklingError);
}

TEST_CASE("code is not accepted", "[exposed_type]") {
  auto const refuses = [](auto const& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    wire::Bytes bytes;
    wire::encode(bytes, value);
    std::span<std::byte const> rest = bytes;
    return support::message_of<mp::UnpicklingError>([&] { take_foreign<Value>(rest); }) ==
           "decoding meets a function, and none is accepted from another program";
  };
  CHECK(refuses(&seven));
  CHECK(refuses(std::tuple{1, &seven}));
  CHECK(refuses(std::vector{&seven}));
  CHECK(refuses(&Counter::add));
  struct Virtual {
    virtual ~Virtual() = default;
    virtual int f() { return 1; }
  };
  CHECK(refuses(&Virtual::f));
}

TEST_CASE("a thread-safe type's methods run at once, others one by one", "[exposed_type]") {
  ExposedObject object = {std::make_shared<Counter>(1), {}};
  auto const is_free = [](ExposedObject& its) {
    return [&its](Counter&) {
      try {
        std::lock_guard const guard(its.lock);
        return true;
      } catch (std::system_error const&) {  // this thread has it
        return false;
      }
    };
  };
  auto const method = is_free(object);
  CHECK_FALSE(call<bool>(describe_method<Counter>(method, kAlone), object));
  CHECK(call<bool>(describe_method<Counter>(method, Exclusion::ThreadSafe), object));
}

TEST_CASE("types are found by name and by class", "[exposed_type]") {
  ExposedTypes types;
  auto& added = types.add(describe_type<Counter, int>("Counter", kAlone));
  CHECK(types.find("Counter") == &added);
  CHECK(types.find(typeid(Counter)) == &added);
  CHECK(types.find("Other") == nullptr);
  CHECK(types.find(typeid(int)) == nullptr);
  CHECK_THROWS_AS(types.at(typeid(int)), std::invalid_argument);
  CHECK_THROWS_AS(types.add(describe_type<int>("Counter", kAlone)), std::invalid_argument);
  CHECK_THROWS_AS(types.add(describe_type<Counter>("Other", kAlone)), std::invalid_argument);
}

}  // namespace exposed_type_test
