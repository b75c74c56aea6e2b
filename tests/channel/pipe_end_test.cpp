// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/pipe_end.hpp>

#include <csignal>
#include <memory>
#include <system_error>
#include <thread>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace pipe_end_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

constexpr Call kCall{"End", "call"};

bool send(PipeEnd& end, Deadline deadline = Deadline::never()) {
  auto const put = [](Lane& lane, Deadline until) {
    return lane.put(
        mp::sync::this_thread_seated(), {}, 0, [](std::byte*) {}, until);
  };
  return end.send(kCall, 0, put, deadline);
}
Passed receive(PipeEnd& end, Deadline deadline = Deadline::never()) {
  return end.receive(
      kCall, [](Incoming const&) { return true; }, deadline);
}

}  // namespace

TEST_CASE("ends are joined crosswise", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  CHECK(&left->incoming() == &right->outgoing());
  CHECK(&left->outgoing() == &right->incoming());
  CHECK(send(*left));
  CHECK(send(*right));
  CHECK(receive(*left) == Passed::Done);
  CHECK(receive(*right) == Passed::Done);
}

TEST_CASE("an end does what its direction says", "[pipe_end]") {
  auto const [reader, writer] = make_pipe({.can_send = false, .can_receive = true});
  CHECK_FALSE(reader->direction().can_send);
  CHECK_FALSE(writer->direction().can_receive);
  CHECK_THROWS_AS(send(*reader), std::system_error);
  CHECK_THROWS_AS(receive(*writer), std::system_error);
  CHECK_THROWS_AS(writer->poll(kCall, Deadline::after(0s)), std::system_error);
  CHECK(send(*writer));
  CHECK(reader->poll(kCall, Deadline::after(0s)));
  CHECK(receive(*reader) == Passed::Done);
  CHECK_FALSE(reader->poll(kCall, Deadline::after(1ms)));
}

TEST_CASE("who gave its end up can not use it, and the other one is told", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  CHECK(send(*left));
  left->give_up();
  left->give_up();
  CHECK(left->is_closed());
  CHECK_THROWS_AS(send(*left), std::system_error);
  CHECK(receive(*right) == Passed::Done);
  CHECK(right->poll(kCall, Deadline::never()));
  CHECK_THROWS_AS(receive(*right), mp::EOFError);
  CHECK_THROWS_AS(receive(*right, Deadline::after(0s)), mp::EOFError);
  CHECK_THROWS_AS(send(*right), mp::BrokenPipeError);
}

TEST_CASE("a receiver that sleeps learns that the other end was given up, in another process",
          "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  support::RawChild receiver([&, &mine = right, &other = left] {
    other->give_up();  // its copy
    try {
      static_cast<void>(receive(*mine));
    } catch (mp::EOFError const&) {
      return 0;
    }
    return 1;
  });
  right->give_up();
  support::wait_until_asleep(receiver.pid());
  left->give_up();
  CHECK(receiver.wait() == 0);
}

TEST_CASE("giving up ends the waits of this process's other threads", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  std::thread waiter([&end = left] { CHECK_THROWS_AS(receive(*end), std::system_error); });
  left->give_up();
  waiter.join();
}

TEST_CASE("a wait that only the calling thread could end is refused", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  support::RawChild child([&, &end = left] {
    try {
      static_cast<void>(receive(*end));
    } catch (std::system_error const& error) {
      return error.code() == std::errc::resource_deadlock_would_occur ? 0 : 1;
    }
    return 2;
  });
  right->give_up();
  left->give_up();
  CHECK(child.wait() == 0);
}

}  // namespace pipe_end_test
