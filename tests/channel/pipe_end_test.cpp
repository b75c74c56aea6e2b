// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/pipe_end.hpp>

#include <csignal>
#include <memory>
#include <system_error>
#include <thread>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/ends.hpp"
#include "../support/helpers.hpp"

namespace pipe_end_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::kCall;
using support::receive_any;
using support::send_nothing;

TEST_CASE("ends are joined crosswise", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  CHECK(&left->incoming() == &right->outgoing());
  CHECK(&left->outgoing() == &right->incoming());
  CHECK(send_nothing(*left));
  CHECK(send_nothing(*right));
  CHECK(receive_any(*left) == Passed::Done);
  CHECK(receive_any(*right) == Passed::Done);
}

TEST_CASE("an end does what its direction says", "[pipe_end]") {
  auto const [reader, writer] = make_pipe({.can_send = false, .can_receive = true});
  CHECK_FALSE(reader->direction().can_send);
  CHECK_FALSE(writer->direction().can_receive);
  CHECK_THROWS_AS(send_nothing(*reader), std::system_error);
  CHECK_THROWS_AS(receive_any(*writer), std::system_error);
  CHECK_THROWS_AS(writer->poll(kCall, Deadline::after(0s)), std::system_error);
  CHECK(send_nothing(*writer));
  CHECK(reader->poll(kCall, Deadline::after(0s)));
  CHECK(receive_any(*reader) == Passed::Done);
  CHECK_FALSE(reader->poll(kCall, Deadline::after(1ms)));
}

TEST_CASE("who gave its end up can not use it, and the other one is told", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  CHECK(send_nothing(*left));
  left->give_up();
  left->give_up();
  CHECK(left->is_closed());
  CHECK_THROWS_AS(send_nothing(*left), std::system_error);
  CHECK(receive_any(*right) == Passed::Done);
  CHECK(right->poll(kCall, Deadline::never()));
  CHECK_THROWS_AS(receive_any(*right), mp::EOFError);
  CHECK_THROWS_AS(receive_any(*right, Deadline::after(0s)), mp::EOFError);
  CHECK_THROWS_AS(send_nothing(*right), mp::BrokenPipeError);
}

TEST_CASE("a receiver that sleeps learns that the other end was given up, in another process",
          "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  support::RawChild receiver([&, &mine = right, &other = left] {
    other->give_up();  // its copy
    try {
      static_cast<void>(receive_any(*mine));
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
  std::thread waiter([&end = left] { CHECK_THROWS_AS(receive_any(*end), std::system_error); });
  left->give_up();
  waiter.join();
}

TEST_CASE("a wait that only the calling thread could end is refused", "[pipe_end]") {
  auto const [left, right] = make_pipe({});
  support::RawChild child([&, &end = left] {
    try {
      static_cast<void>(receive_any(*end));
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
