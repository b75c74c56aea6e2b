// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/staff.hpp>

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <multiprocessing/future.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace staff_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using mp::base::Deadline;
using support::square;

namespace {

/// Somebody elsewhere, who does nothing by itself: the test does.
class Elsewhere final : public work::Staff {
 public:
  explicit Elsewhere(work::Crew& crew) : crew_(crew) {
    crew.board().nursery_life.stand_for(::getpid());
  }

  bool is_elsewhere() const noexcept override { return true; }
  void wake() noexcept override {
    ++wakes;
    if (crew_.is_closed()) end();
  }
  void take_away(work::TaskId task) noexcept override { taken = task; }
  void ask_to_stop(work::TaskId task) noexcept override { asked = task; }
  bool wait_until(Deadline) override { return has_ended_; }
  void kill() noexcept override { end(); }
  std::string how_it_ended() override { return "somebody has left"; }

  void end() noexcept {
    has_ended_ = true;
    crew_.board().nursery_life.end();
  }

  /// Claims a task.
  work::TaskId claim() {
    auto& board = crew_.board();
    return board.tasks.claim(crew_.segment(), 0, board.pages[0].task).value();
  }
  /// Runs and settles it.
  void run(work::TaskId id) {
    auto& board = crew_.board();
    work::TaskContext const context{crew_.segment(), modules_,    fork_detector_,     codes_,
                                    annexes_,        board.tasks, crew_.entry(id)};
    codes_.function<work::RunTask>(context.task.code)(context);
    board.tasks.settle(context.task, {id.generation, 0, work::ChunkWord::Phase::Claimed},
                       work::ChunkWord::Phase::Done);
  }

  std::atomic<int> wakes{0};
  work::TaskId taken{};
  work::TaskId asked{};

 private:
  work::Crew& crew_;
  bool has_ended_ = false;
  mp::os::ModuleTable const modules_ = mp::os::ModuleTable::now();
  mp::os::ForkDetector const fork_detector_;
  work::CodeReader codes_{crew_.segment(), crew_.board().tasks.codes, modules_};
  work::AnnexMaker annexes_;
};

struct Fixture {
  Elsewhere* staff = nullptr;
  std::shared_ptr<work::Crew> crew =
      std::make_shared<work::Crew>(7, [this](work::Crew& made) {
        auto hired = std::make_unique<Elsewhere>(made);
        staff = hired.get();
        return hired;
      });

  mp::Future<int> submit(int x) {
    return mp::Future<int>(work::submit_call<int (*)(int), int>(crew, "test", {}, &square, x));
  }
};

}  // namespace

TEST_CASE("what a crew puts up may be done by somebody else", "[staff]") {
  Fixture own;
  CHECK(own.crew->workers() == 7);
  CHECK(own.crew->worker_pids("test").empty());
  auto const future = own.submit(9);
  CHECK(own.staff->wakes == 1);
  auto const id = own.staff->claim();
  CHECK(future.running());
  std::thread other([&] { own.staff->run(id); });
  CHECK(future.result() == 81);
  other.join();
  own.crew->close("test");
  own.crew->join("test");
}

TEST_CASE("a staff is told what is taken away from it, and what is to stop", "[staff]") {
  Fixture own;
  auto const first = own.submit(1);
  auto const second = own.submit(2);
  auto const one = own.staff->claim();
  auto const two = own.staff->claim();
  CHECK(first.cancel(mp::cancel_running));
  CHECK(own.staff->taken == one);
  CHECK(first.cancelled());
  second.request_stop();
  CHECK(own.staff->asked == two);
  CHECK_FALSE(second.done());
  own.crew->terminate("test");
}

TEST_CASE("the end of a staff breaks its crew, which says how it ended", "[staff]") {
  Fixture own;
  auto const future = own.submit(1);
  std::thread other([&] {
    support::wait_for_state_in("/proc/self", "S");
    own.staff->end();
  });
  CHECK(support::message_of<mp::BrokenProcessPool>([&] { future.result(); }) ==
        "test: the pool is broken, somebody has left");
  other.join();
}

TEST_CASE("shared objects do not go where shared memory does not", "[staff]") {
  Fixture own;
  mp::Lock const lock;
  auto use = [](mp::Lock const&) {};
  CHECK_THAT(support::message_of<mp::PicklingError>([&] {
               work::submit_call<decltype(use), mp::Lock>(own.crew, "test", {}, use, lock);
             }),
             ContainsSubstring("test: shared objects") && ContainsSubstring("another machine"));
  own.crew->close("test");
  own.crew->join("test");
}

TEST_CASE("a nursery is a staff", "[staff]") {
  work::Crew crew({.workers = 1});
  crew.terminate("test");
  CHECK(support::message_of<mp::BrokenProcessPool>([&] { crew.throw_broken("test"); }) ==
        "test: the pool is broken, its nursery process exited with code 0");
}

}  // namespace staff_test
