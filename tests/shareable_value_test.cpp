// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shareable_value.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "support/catch.hpp"

namespace shareable_value_test {

namespace mp = multiprocessing;
using namespace multiprocessing::shareable_value_detail;

TEST_CASE("a value is what it was made of", "[shareable_value]") {
  CHECK(kind_of(mp::none) == Kind::None);
  CHECK(kind_of(true) == Kind::Bool);
  CHECK(kind_of(7) == Kind::Int);
  CHECK(kind_of(7.0) == Kind::Float);
  CHECK(kind_of("text") == Kind::Text);
  CHECK(kind_of(mp::Bytes(3)) == Kind::Bytes);
}

TEST_CASE("a value is the same when it is made of its bytes", "[shareable_value]") {
  for (mp::ShareableValue const& value : std::vector<mp::ShareableValue>{
           mp::none, true, false, INT64_MIN, 2.5, std::string("a\0", 2), "", mp::Bytes(2)}) {
    CHECK(value_of(kind_of(value), bytes_of(value)) == value);
  }
}

TEST_CASE("bytes that are no value are told", "[shareable_value]") {
  mp::Bytes const bytes(3);
  for (auto const kind : {Kind::Bool, Kind::Int, Kind::Float, static_cast<Kind>(100)}) {
    CHECK_THROWS_AS(value_of(kind, bytes), mp::Error);
  }
}

TEST_CASE("a value is printed as Python prints it", "[shareable_value]") {
  auto const printed = [](mp::ShareableValue const& value) {
    std::ostringstream out;
    print(out, value);
    return out.str();
  };
  CHECK(printed(mp::none) == "None");
  CHECK(printed(true) == "True");
  CHECK(printed(7) == "7");
  CHECK(printed(7.0) == "7.0");
  CHECK(printed("it's") == "'it\\'s'");
  CHECK(printed(mp::Bytes{std::byte{0xff}}) == "b'\\xff'");
}

}  // namespace shareable_value_test
