// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/request.hpp>

#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace request_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::serve;

namespace {

/// A request, and its reply.
template <class Code, class... Parts>
typename Code::Result ask(ObjectTable& objects, std::uint64_t object, Parts const&... parts) {
  wire::Bytes request;
  wire::Parcel parcel;
  write_request<Code>({request, parcel}, object, parts...);
  wire::Bytes reply;
  wire::Parcel with_reply;
  answer(objects, request, parcel, {reply, with_reply});
  return read_reply<typename Code::Result>(reply, with_reply);
}

template <class T, class F, class... Args>
auto call(ObjectTable& objects, std::uint64_t object, F f, Args... args) {
  return ask<CallObject<T, F, Args...>>(objects, object, f, args...);
}

}  // namespace

TEST_CASE("an object is made, called, and found changed", "[request]") {
  ObjectTable objects;
  auto const made = ask<CreateObject<std::string, std::string>>(objects, 0, std::string("ab"));
  auto const id = made.token.id();
  auto const append = [](std::string& text, std::string more) -> std::size_t {
    text += more;
    return text.size();
  };
  CHECK(call<std::string>(objects, id, append, std::string("cd")) == 4);
  call<std::string>(objects, id, [](std::string& text) { text += '!'; });
  CHECK(call<std::string>(objects, id, [](std::string& text) -> std::string& { return text; }) ==
        "abcd!");
  CHECK(call<std::string>(objects, id, &std::string::size) == 5);
}

TEST_CASE("shared objects go both ways", "[request]") {
  ObjectTable objects;
  auto const made =
      ask<CreateObject<mp::Value<int>, mp::Value<int>>>(objects, 0, mp::Value<int>(5));
  auto const its =
      call<mp::Value<int>>(objects, made.token.id(), [](mp::Value<int>& value) { return value; });
  its = 6;
  CHECK(call<mp::Value<int>>(objects, made.token.id(),
                             [](mp::Value<int>& value) { return value.value(); }) == 6);
}

TEST_CASE("what the call throws is thrown", "[request]") {
  ObjectTable objects;
  auto const made = ask<CreateObject<int, int>>(objects, 0, 1);
  auto const id = made.token.id();
  auto const fail = [](int&) { throw std::out_of_range("too far"); };
  CHECK(support::message_of<std::out_of_range>([&] { call<int>(objects, id, fail); }) == "too far");
  call<int>(objects, id, [](int& x) { ++x; });  // nobody has it locked
  CHECK_THROWS_AS(call<long>(objects, id, [](long&) {}), mp::TypeError);
  CHECK_THROWS_AS(call<int>(objects, 99, [](int&) {}), mp::Error);
}

TEST_CASE("a request that is none is answered so", "[request]") {
  ObjectTable objects;
  wire::Bytes reply;
  wire::Parcel parcel;
  auto const answer_to = [&](wire::Bytes const& request) {
    answer(objects, request, parcel, {reply, parcel});
    read_reply<void>(reply, parcel);
  };
  CHECK_THROWS_AS(answer_to({}), mp::UnpicklingError);
  CHECK_THROWS_AS(answer_to(wire::Bytes(10)), mp::UnpicklingError);
  wire::Bytes elsewhere(sizeof(RequestHead), std::byte{1});
  CHECK_THROWS_AS(answer_to(elsewhere), mp::UnpicklingError);
  CHECK_THROWS_AS(answer_to(wire::Bytes(sizeof(RequestHead))), mp::UnpicklingError);
  CHECK_THROWS_AS(read_reply<int>({}, {}), std::bad_alloc);
}

}  // namespace request_test
