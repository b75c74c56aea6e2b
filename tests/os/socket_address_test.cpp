// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/socket_address.hpp>

#include <string>

#include "../support/catch.hpp"

namespace socket_address_test {

namespace os = multiprocessing::os;

TEST_CASE("an address reads as it is written", "[socket_address]") {
  CHECK(os::SocketAddress::path("/tmp/x.sock").text() == "/tmp/x.sock");
  CHECK(os::SocketAddress::abstract("name").text() == "@name");
  CHECK(os::SocketAddress::numeric("127.0.0.1", 80)->text() == "127.0.0.1:80");
  CHECK(os::SocketAddress::numeric("::1", 65535)->text() == "[::1]:65535");
}

TEST_CASE("a name may have the full length", "[socket_address]") {
  std::string const name(os::SocketAddress::kLongestName, 'x');
  CHECK(os::SocketAddress::path(name).text() == name);
  CHECK(os::SocketAddress::abstract(name).text() == "@" + name);
}

TEST_CASE("an address of a socket without a name is empty", "[socket_address]") {
  sa_family_t const unnamed = AF_UNIX;
  CHECK(os::SocketAddress(&unnamed, sizeof unnamed).text().empty());
}

TEST_CASE("a host in digits is not looked up", "[socket_address]") {
  CHECK_FALSE(os::SocketAddress::numeric("localhost", 80));
  CHECK_FALSE(os::SocketAddress::numeric("", 80));
  auto const found = os::resolve("127.0.0.1", 80, AF_UNSPEC);
  REQUIRE(found.size() == 1);
  CHECK(found.front().family() == AF_INET);
  CHECK_THROWS_AS(os::resolve("127.0.0.1", 80, AF_INET6), std::invalid_argument);
}

TEST_CASE("a host is found by its name", "[socket_address]") {
  CHECK(os::resolve("localhost", 80, AF_INET).front().text() == "127.0.0.1:80");
  CHECK_THROWS_AS(os::resolve("no such host", 80, AF_UNSPEC), std::invalid_argument);
}

}  // namespace socket_address_test
