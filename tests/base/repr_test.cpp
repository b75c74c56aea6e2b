// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/base/repr.hpp>

#include <cstdint>
#include <iomanip>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "../support/catch.hpp"

namespace repr_test {

using namespace multiprocessing::base;

namespace {
template <class T>
std::string repr(T const& value) {
  std::ostringstream out;
  out << std::hex << std::setprecision(2);  // no matter
  print_repr(out, value);
  return out.str();
}
}  // namespace

TEST_CASE("control characters are written by name or number", "[repr]") {
  CHECK(escape("a\n\t\r\x01\x7f") == "a\\n\\t\\r\\x01\\x7f");
  CHECK(escape(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(escape("ž'\\") == "ž'\\");
  CHECK(escape("\xff", Characters::Bytes) == "\\xff");
}

TEST_CASE("texts are in quotes, whatever is in them", "[repr]") {
  CHECK(quote("it's a \\ \n") == "'it\\'s a \\\\ \\n'");
  CHECK(quote("") == "''");
  CHECK(repr(std::string("a")) == "'a'");
  CHECK(repr("a") == "'a'");
}

TEST_CASE("numbers are read as the same ones", "[repr]") {
  CHECK(repr(255) == "255");
  CHECK(repr(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(repr(0.1 + 0.2) == "0.30000000000000004");
  CHECK(repr(1.0) == "1.0");
  CHECK(repr(1e300) == "1e+300");
  CHECK(repr(2.5F) == "2.5");
  CHECK(repr(true) == "True");
  CHECK(repr(false) == "False");
  CHECK(repr('c') == "c");
}

TEST_CASE("items have commas between them", "[repr]") {
  std::ostringstream out;
  print_items(out, std::vector<std::string>{"a", "b"});
  print_items(out, std::vector<int>{});
  CHECK(out.str() == "'a', 'b'");
}

}  // namespace repr_test
