// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/message.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_heap.hpp"

namespace message_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
namespace mp = multiprocessing;

namespace {

constexpr Call kCall{"Port", "call"};

/// The least that values can be sent to.
struct Port {
  Port(std::uint64_t block) : lane(block, 0, {}) {}

  template <class Attempt>
  bool send(Call, std::uint64_t weight, Attempt const& attempt, Deadline deadline) {
    last_weight = weight;
    return attempt(lane, deadline) == Lane::Outcome::Done;
  }
  template <class Take>
  Passed receive(Call, Take const& take, Deadline deadline) {
    auto const outcome = lane.get(mp::sync::this_thread_seated(), take, deadline);
    return outcome == Lane::Outcome::Done ? Passed::Done : Passed::TimedOut;
  }

  Lane lane;
  std::uint64_t last_weight = 0;
};
using Shared = support::InHeap<Port>;

template <class T>
bool send(Port& port, T const& value, bool is_typed = false) {
  return send_value(port, kCall, value, is_typed, Deadline::never());
}
template <class T>
std::optional<T> receive(Port& port) {
  return receive_value<T>(port, kCall, Deadline::never());
}

struct Bomb {
  int fuse = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    if (fuse == 1) throw std::runtime_error("bang");
    archive(fuse);
    if (fuse == 2) throw std::runtime_error("late bang");
  }
};
struct Large {
  std::byte bytes[100'000];
};

}  // namespace

TEST_CASE("values arrive as they were, inline and in blocks", "[message]") {
  Shared const port;
  send(*port, 7);
  CHECK(port->last_weight == 0);
  send(*port, std::string("seven"));
  send(*port, std::string(100'000, '7'));
  CHECK(port->last_weight > 100'000);
  send(*port, std::vector<std::string>(5000, "seven"));  // through an archive
  CHECK(port->last_weight > 25'000);
  Large large{};
  large.bytes[99'999] = std::byte{7};
  send(*port, large);
  CHECK(receive<int>(*port) == 7);
  CHECK(receive<std::string>(*port) == "seven");
  CHECK(receive<std::string>(*port) == std::string(100'000, '7'));
  CHECK(receive<std::vector<std::string>>(*port) == std::vector<std::string>(5000, "seven"));
  CHECK(receive<Large>(*port)->bytes[99'999] == std::byte{7});
  CHECK(receive<int>(*port) == std::nullopt);
}

TEST_CASE("a value that throws while it is encoded is not sent, not even in part", "[message]") {
  Shared const port;
  CHECK_THROWS_AS(send(*port, Bomb{1}), std::runtime_error);
  CHECK_THROWS_AS(send(*port, Bomb{2}), std::runtime_error);
  CHECK(port->lane.count() == 0);
  send(*port, Bomb{3});
  CHECK(receive<Bomb>(*port)->fuse == 3);
}

TEST_CASE("typed messages are for their type only", "[message]") {
  Shared const port;
  send(*port, 7, true);
  send(*port, 7, true);
  send(*port, std::string("seven"), true);
  send(*port, std::string(100'000, '7'), true);
  CHECK(receive<int>(*port) == 7);
  CHECK_THROWS_AS(receive<std::string>(*port), mp::TypeError);
  CHECK_THROWS_AS(receive<int>(*port), mp::TypeError);
  CHECK_THROWS_AS(receive<int>(*port), mp::TypeError);
  CHECK(port->lane.count() == 0);
}

TEST_CASE("bytes are no values, and values of another size are refused", "[message]") {
  Shared const port;
  std::byte const bytes[4]{};
  Outgoing outgoing({.is_bytes = true}, bytes);
  CHECK(send_message(*port, kCall, outgoing, Deadline::never()));
  CHECK_THROWS_AS(receive<int>(*port), mp::TypeError);
  send(*port, 'c');
  CHECK_THROWS_AS(receive<int>(*port), mp::UnpicklingError);
}

TEST_CASE("what was received stays when the lane goes on", "[message]") {
  Shared const port;
  std::vector<std::byte> const small(10, std::byte{1});
  std::vector<std::byte> const large(10'000, std::byte{2});
  for (auto const& bytes : {small, large}) {
    Outgoing outgoing({.is_bytes = true}, bytes);
    CHECK(send_message(*port, kCall, outgoing, Deadline::never()));
  }
  Received first;
  Received second;
  auto const into = [](Received& received) {
    return [&](Incoming const& incoming) { return received.take(incoming); };
  };
  CHECK(port->receive(kCall, into(first), Deadline::never()) == Passed::Done);
  CHECK(port->receive(kCall, into(second), Deadline::never()) == Passed::Done);
  send(*port, std::string(9000, 'x'));
  send(*port, std::string(100, 'x'));
  CHECK(first.content().is_bytes);
  CHECK(first.lease() == nullptr);
  CHECK(std::vector<std::byte>(first.bytes().begin(), first.bytes().end()) == small);
  CHECK(second.lease() != nullptr);
  CHECK(std::vector<std::byte>(second.bytes().begin(), second.bytes().end()) == large);
}

TEST_CASE("scratch memory that is in use is not given twice", "[message]") {
  Scratch outer;
  outer.bytes().resize(100);
  Scratch inner;
  inner.bytes().resize(100);
  CHECK(outer.bytes().data() != inner.bytes().data());
}

}  // namespace message_test
