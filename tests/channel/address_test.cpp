// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/address.hpp>

#include <sstream>
#include <string>
#include <string_view>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace address_test {

namespace mp = multiprocessing;

namespace {

std::string refusal_of(std::string const& text) {
  return support::message_of<std::invalid_argument>([&] { mp::Address{text}; });
}
std::string only_place_of(mp::Address const& address) {
  auto const places = address.resolve(AF_UNSPEC);
  REQUIRE(places.size() == 1);
  return places.front().text();
}

}  // namespace

TEST_CASE("an address is a path, a name, or a port of a host", "[address]") {
  CHECK(only_place_of("/tmp/x.sock") == "/tmp/x.sock");
  CHECK(only_place_of("./x:80") == "./x:80");
  CHECK(only_place_of("@name") == "@name");
  CHECK(only_place_of("@name/with:all") == "@name/with:all");
  CHECK(only_place_of("127.0.0.1:80") == "127.0.0.1:80");
  CHECK(only_place_of("[::1]:80") == "[::1]:80");
  CHECK(mp::Address("localhost:80").resolve(AF_INET).front().text() == "127.0.0.1:80");
}

TEST_CASE("an abstract name may be written as the kernel has it", "[address]") {
  CHECK(mp::Address("\0name") == mp::Address("@name"));
  CHECK(mp::Address(std::string("\0name", 5)) == mp::Address("@name"));
  CHECK(mp::Address(std::string_view("\0name", 5)).str() == "@name");
}

TEST_CASE("an address can be written where one is an option", "[address]") {
  struct Options {
    mp::Address address = {};
  };
  char const* const text = "/text";
  CHECK(Options{.address = "/literal"}.address.str() == "/literal");
  CHECK(Options{.address = std::string("/string")}.address.str() == "/string");
  CHECK(Options{.address = text}.address.str() == "/text");
  CHECK(Options{}.address.is_none());
  CHECK_THROWS_AS(mp::Address().resolve(AF_UNSPEC), std::invalid_argument);
  std::ostringstream out;
  out << mp::Address("@name");
  CHECK(out.str() == "@name");
}

TEST_CASE("nonsense is refused with a reason", "[address]") {
  CHECK_THAT(refusal_of(""), ContainsSubstring("'' is no address: write \"host:port\""));
  CHECK_THAT(refusal_of("name"), ContainsSubstring("write \"host:port\""));
  CHECK_THAT(refusal_of(":80"), ContainsSubstring("write \"host:port\""));
  CHECK_THAT(refusal_of("[]:80"), ContainsSubstring("no host"));
  CHECK_THAT(refusal_of("::1:80"), ContainsSubstring("[host]:port"));
  for (auto const* port : {"host:", "host:x", "host:80x", "host:65536", "host:-1", "host: 80"}) {
    CHECK_THAT(refusal_of(port), ContainsSubstring("port"));
  }
  CHECK_THAT(refusal_of("@"), ContainsSubstring("no name"));
  CHECK_THAT(refusal_of(std::string("/a\0b", 4)), ContainsSubstring("zero"));
  std::string const longest(107, 'x');
  CHECK_THAT(refusal_of("/" + longest), ContainsSubstring("longer than 107"));
  CHECK_THAT(refusal_of("@x" + longest), ContainsSubstring("longer than 107"));
  CHECK(refusal_of("@" + longest) == "nothing");
}

TEST_CASE("a family that is not the address's, or not known, is refused", "[address]") {
  mp::Address("/path").require_family(AF_UNSPEC);
  mp::Address("/path").require_family(AF_UNIX);
  mp::Address("127.0.0.1:80").require_family(AF_INET);
  CHECK_THROWS_AS(mp::Address("/path").require_family(AF_INET), std::invalid_argument);
  CHECK_THROWS_AS(mp::Address("127.0.0.1:80").require_family(AF_UNIX), std::invalid_argument);
  CHECK_THROWS_AS(mp::Address("127.0.0.1:80").resolve(AF_INET6), std::invalid_argument);
  CHECK_THROWS_AS(mp::Address("/path").resolve(AF_INET), std::invalid_argument);
  CHECK_THAT(support::message_of<std::invalid_argument>([] { mp::Address::random(12345); }),
             ContainsSubstring("family 12345 is not recognized"));
}

TEST_CASE("random addresses are of the family, and never the same", "[address]") {
  CHECK(mp::Address::random() != mp::Address::random());
  CHECK(mp::Address::random(AF_UNSPEC).is_local());
  CHECK_FALSE(mp::Address::random(AF_UNIX).is_path());
  CHECK(only_place_of(mp::Address::random(AF_INET)) == "127.0.0.1:0");
  CHECK(only_place_of(mp::Address::random(AF_INET6)) == "[::1]:0");
}

}  // namespace address_test
