// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/remote_staff.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace remote_staff_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using namespace multiprocessing::mpi;
using mp::base::Deadline;
using namespace std::chrono_literals;

namespace {

/// Takes orders in a thread of its own, and notes them, until it is told to kill.
class FakeDispatcher {
 public:
  explicit FakeDispatcher(Orders& orders) : thread_([this, &orders] { run(orders); }) {}
  ~FakeDispatcher() { thread_.join(); }

  std::vector<Orders::Order> taken;
  std::atomic<bool> has_ended{false};

 private:
  void run(Orders& orders) {
    RemoteStaff* staff = nullptr;
    for (;;) {
      auto const rings = orders.rings();
      for (auto& order : orders.take()) {
        auto const kind = order.kind;
        if (kind == Orders::Kind::open) {
          staff = order.staff;
          staff->crew().board().nursery_life.stand_for(mp::os::this_thread_id());
          staff->tell_begun();
        }
        taken.push_back(std::move(order));
        if (kind != Orders::Kind::kill) continue;
        staff->crew().board().nursery_life.end();
        has_ended = true;
        staff->tell_ended();
        return;
      }
      orders.wait(rings, Deadline::never());
    }
  }
  std::thread thread_;
};

}  // namespace

TEST_CASE("a remote staff passes on what its crew tells it", "[mpi]") {
  auto const orders = std::make_shared<Orders>();
  FakeDispatcher dispatcher(*orders);
  {
    RemoteStaff* staff = nullptr;
    work::Crew crew(3, [&](work::Crew& made) {
      auto hired = std::make_unique<RemoteStaff>(orders, made, SessionTerms{.workers = 3},
                                                 mp::wire::Bytes(5));
      staff = hired.get();
      return hired;
    });
    CHECK_FALSE(crew.is_over());
    auto const rings = orders->rings();
    staff->wake();
    CHECK(orders->rings() == rings + 1);
    staff->take_away({1, 2});
    staff->ask_to_stop({3, 4});
    CHECK_FALSE(staff->wait_until(Deadline::after(1ms)));
  }
  CHECK(dispatcher.has_ended);
  auto const& taken = dispatcher.taken;
  REQUIRE(taken.size() == 4);
  CHECK(taken[0].terms.workers == 3);
  CHECK(taken[0].initializer.size() == 5);
  CHECK(taken[1].kind == Orders::Kind::cancel);
  CHECK(taken[1].task == work::TaskId{1, 2});
  CHECK(taken[2].kind == Orders::Kind::stop);
  CHECK(taken[2].task == work::TaskId{3, 4});
  CHECK(taken[3].session == taken[0].session);
}

TEST_CASE("when nobody takes orders any more there are no new staffs", "[mpi]") {
  auto const orders = std::make_shared<Orders>();
  orders->close();
  CHECK_FALSE(orders->give({.kind = Orders::Kind::kill, .session = 1}));
  auto const make = [&](work::Crew& made) {
    return std::make_unique<RemoteStaff>(orders, made, SessionTerms{}, mp::wire::Bytes());
  };
  CHECK(support::message_of<std::logic_error>([&] { work::Crew crew(1, make); }) ==
        "mpi.PoolExecutor: mpi::run() has ended");
}

TEST_CASE("sessions have numbers of their own, and orders are taken once", "[mpi]") {
  Orders orders;
  CHECK(orders.new_session() != orders.new_session());
  CHECK(orders.take().empty());
  CHECK(orders.give({.kind = Orders::Kind::kill, .session = 8}));
  CHECK(orders.take().size() == 1);
  CHECK(orders.take().empty());
}

}  // namespace remote_staff_test
