// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/queue_end.hpp>

#include <stdexcept>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/ends.hpp"
#include "../support/helpers.hpp"

namespace queue_end_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::kCall;
using support::receive_any;
using support::send_nothing;

namespace {

QueueEnd make(std::uint64_t most = 0) {
  return QueueEnd(QueueState::make({.messages = most, .chunks = 0, .weight = 0}));
}

}  // namespace

TEST_CASE("what is put at one end of a queue is got at another", "[queue_end]") {
  auto first = make();
  QueueEnd second(first.state());
  CHECK(send_nothing(first));
  CHECK(second.lane().count() == 1);
  CHECK(receive_any(second) == Passed::Done);
  CHECK(receive_any(second, Deadline::after(0s)) == Passed::TimedOut);
}

TEST_CASE("a wait that nobody could end is over", "[queue_end]") {
  support::RawChild child([] {  // has it alone
    auto end = make(1);
    int right = 0;
    try {
      static_cast<void>(receive_any(end));
    } catch (mp::EOFError const&) {
      ++right;
    }
    right += send_nothing(end) ? 1 : 0;
    right += send_nothing(end, Deadline::after(1ms)) ? 0 : 1;
    try {
      send_nothing(end);
    } catch (mp::BrokenPipeError const&) {
      ++right;
    }
    try {
      end.join(kCall, Deadline::never());
    } catch (mp::EOFError const&) {
      ++right;
    }
    return right == 5 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("what was shut down gives what it has", "[queue_end]") {
  auto end = make();
  send_nothing(end);
  end.shut_down();
  CHECK_THROWS_AS(send_nothing(end), mp::ShutDown);
  CHECK(receive_any(end) == Passed::Done);
  CHECK_THROWS_AS(receive_any(end), mp::ShutDown);
}

TEST_CASE("what was shut down now gives nothing, and nothing is left to be done", "[queue_end]") {
  auto end = make();
  send_nothing(end);
  send_nothing(end);
  CHECK_FALSE(end.is_all_done());
  end.shut_down_now();
  CHECK(end.lane().count() == 0);
  CHECK(end.is_all_done());
  CHECK_THROWS_AS(receive_any(end), mp::ShutDown);
  CHECK_FALSE(end.count_done());
}

TEST_CASE("a closed end is closed, others are not", "[queue_end]") {
  auto first = make();
  QueueEnd second(first.state());
  first.close();
  first.close();
  CHECK(first.is_closed());
  CHECK_THROWS_AS(send_nothing(first), std::invalid_argument);
  CHECK_THROWS_AS(receive_any(first), std::invalid_argument);
  CHECK(send_nothing(second));
  CHECK(receive_any(second) == Passed::Done);
}

TEST_CASE("join waits until each item was counted", "[queue_end]") {
  auto end = make();
  CHECK(end.join(kCall, Deadline::never()));
  CHECK_FALSE(end.count_done());
  send_nothing(end);
  send_nothing(end);
  CHECK_FALSE(end.join(kCall, Deadline::after(1ms)));
  CHECK(end.count_done());
  support::RawChild joiner([&] { return end.join(kCall, Deadline::never()) ? 0 : 1; });
  support::wait_until_asleep(joiner.pid());
  CHECK(end.count_done());
  CHECK_FALSE(end.count_done());
  CHECK(joiner.wait() == 0);
}

}  // namespace queue_end_test
