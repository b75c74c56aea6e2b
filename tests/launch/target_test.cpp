// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/target.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"

namespace launch = multiprocessing::launch;
namespace wire = multiprocessing::wire;
namespace mp = multiprocessing;

namespace target_test {

std::vector<std::string> heard;
void hear(std::string const& text, int times) {
  for (int i = 0; i < times; ++i) heard.push_back(text);
}

template <class F, class... Args>
std::unique_ptr<launch::Target> make(F f, Args... args) {
  return std::make_unique<launch::CallTarget<F, Args...>>(std::in_place, std::move(f),
                                                          std::move(args)...);
}
std::unique_ptr<launch::Target> sent(launch::Target const& target) {
  wire::Bytes bytes;
  wire::Parcel parcel;
  target.save(bytes, parcel);
  return launch::read_target(bytes, parcel);
}

TEST_CASE("a call arrives with its arguments", "[target]") {
  heard.clear();
  sent(*make(hear, std::string("hi"), 2))->run();
  CHECK(heard == std::vector<std::string>{"hi", "hi"});
  sent(*make([n = 3](std::unique_ptr<std::string> text) { hear(*text, n); },
             std::make_unique<std::string>("owned")))
      ->run();
  CHECK(heard.size() == 5);
}

TEST_CASE("what can not be sent is refused when it would be, by its type", "[target]") {
  int count = 0;
  auto const target = make([&count] { ++count; });
  target->run();  // here it can be called
  CHECK(count == 1);
  wire::Bytes bytes;
  wire::Parcel parcel;
  CHECK_THROWS_AS(target->save(bytes, parcel), mp::TypeError);
  CHECK(bytes.empty());
}

TEST_CASE("damaged bytes are no call", "[target]") {
  wire::Bytes bytes;
  wire::Parcel parcel;
  make(hear, std::string("hi"), 2)->save(bytes, parcel);
  auto const whole = std::span<std::byte const>(bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_THROWS_AS(launch::read_target(whole.first(size), parcel), mp::UnpicklingError);
  }
  bytes.push_back(std::byte{});
  CHECK_THROWS_AS(launch::read_target(bytes, parcel), mp::UnpicklingError);
}

}  // namespace target_test
