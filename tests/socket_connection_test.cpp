// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/socket_connection.hpp>

#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/listener.hpp>
#include <multiprocessing/wait.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace socket_connection_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

std::vector<std::byte> bytes_of(std::size_t size) { return std::vector(size, std::byte{7}); }

}  // namespace

TEST_CASE("a stranger speaks as a connection does", "[listener]") {
  mp::Listener listener;
  support::RawChild client([&] {
    auto const connection = mp::Client({.address = listener.address()});
    connection.send(std::string("hello"));
    connection.send(connection.recv<int>() + 1);
    connection.send_bytes(bytes_of(100'000));
    connection.send(2.5);
  });
  auto const connection = listener.accept();
  CHECK(connection.recv<std::string>() == "hello");
  CHECK(connection.try_recv<int>() == std::nullopt);
  connection.send(41);
  CHECK(mp::wait({&connection}).size() == 1);
  CHECK(connection.recv<int>() == 42);
  CHECK_THROWS_AS(connection.recv_bytes(10), mp::BufferTooShort);
  CHECK(connection.recv_bytes() == bytes_of(100'000));
  CHECK_THROWS_AS(connection.recv<int>(), mp::TypeError);
  client.wait();
  CHECK(connection.poll(1s));
  CHECK_THROWS_AS(connection.recv<int>(), mp::EOFError);
  std::vector<std::byte> room(1);
  CHECK_THROWS_AS(connection.recv_bytes_into(room, 2), std::invalid_argument);
  connection.close();
  CHECK(connection.closed());
  CHECK_THROWS_AS(connection.send(1), std::system_error);
}

TEST_CASE("nobody comes", "[listener]") {
  mp::Listener listener;
  CHECK(listener.accept_for(1ms) == std::nullopt);
}

}  // namespace socket_connection_test
