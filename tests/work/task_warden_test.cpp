// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_warden.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>

#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"

namespace task_warden_test {

namespace mp = multiprocessing;
namespace launch = multiprocessing::launch;
namespace os = multiprocessing::os;
using namespace multiprocessing::work;
using multiprocessing::base::Deadline;
using support::Phase;
using Death = launch::Nursery::Ended;

namespace {

/// A warden in a nursery of two workers that are not there.
struct Ward {
  support::TaskTable table;
  os::Fd never = os::create_eventfd();
  os::Fd wake = os::create_eventfd();
  launch::Nursery nursery{2, std::make_shared<os::Fd const>(os::try_open_pidfd(os::this_pid())),
                          never, wake};
  TaskWarden warden{nursery, table.segment(), table.board()};

  /// One that worker 0 has claimed.
  TaskId claimed(TaskTerms const& options = {}) {
    TaskDraft draft;
    draft.terms = options;
    auto const id = table.book().publish(draft);
    table.claim(0);
    return id;
  }
  Board::Page& page() noexcept { return table.board().pages[0]; }
  void bury(std::uint32_t number_of_death = 7) {
    warden.bury(
        Death{0, 1234, mp::ExitStatus::from({os::ChildEnd::State::Ended, CLD_KILLED, SIGKILL})},
        [=] { return number_of_death; });
  }
  bool is_in_ring(TaskId id) {
    auto& ring = table.tasks().retried;
    return ring.tail == 1 && table.tasks().name_at(table.segment(), ring, 0) == id;
  }
};

constexpr TaskTerms kAfterExceptions{.retries = 1, .retry_on = mp::RetryOn::exception};

}  // namespace

TEST_CASE("what a dead worker had claimed is lost, with the way it died", "[task_warden]") {
  Ward ward;
  auto const id = ward.claimed();
  ward.bury(7);
  CHECK(ward.table.phase(id) == Phase::Lost);
  TaskDeath death;
  std::memcpy(&death, ward.table.entry(id).room, sizeof death);
  CHECK(death.pid == 1234);
  CHECK(death.end_status == SIGKILL);
  CHECK(death.death == 7);
}

TEST_CASE("what may be run once more is, as often as it may", "[task_warden]") {
  Ward ward;
  auto const id = ward.claimed({.retries = 1});
  ward.bury();
  CHECK(ward.table.phase(id) == Phase::Free);
  CHECK(ward.is_in_ring(id));
  CHECK(ward.table.claim(0) == id);
  ward.bury();
  CHECK(ward.table.phase(id) == Phase::Lost);
}

TEST_CASE("what has ended too many workers is not run once more", "[task_warden]") {
  Ward ward;
  ward.table.board().quarantine_after = 1;
  auto const id = ward.claimed({.retries = 5});
  ward.bury();
  CHECK(ward.table.phase(id) == Phase::Lost);
}

TEST_CASE("a worker that hands its task back is let go, and the task run once more",
          "[task_warden]") {
  Ward ward;
  auto const id = ward.claimed(kAfterExceptions);
  ward.page().handed_back = id.pack();
  ward.warden.take_back();
  CHECK(ward.page().handed_back == 0);
  CHECK(ward.is_in_ring(id));
  ward.bury();  // afterwards
  CHECK(ward.table.phase(id) == Phase::Free);
}

TEST_CASE("a worker whose task was given up as it handed it back is not let go", "[task_warden]") {
  Ward ward;
  auto const id = ward.claimed(kAfterExceptions);
  ward.page().handed_back = id.pack();
  CHECK(ward.table.settle(id, 0, Phase::Dropped));
  ward.warden.take_back();
  CHECK(ward.page().handed_back == id.pack());
  CHECK(ward.warden.is_doomed(0));
}

TEST_CASE("who has just missed a task that was given up is not doomed", "[task_warden]") {
  Ward ward;
  auto const id = ward.table.publish("x");
  ward.page().task = id.pack();  // about to be claimed
  ward.table.tasks().drop_free(ward.table.segment());
  CHECK(ward.table.phase(id) == Phase::Dropped);
  CHECK(!ward.warden.is_doomed(0));
}

TEST_CASE("a condemned task that is asked to stop is late", "[task_warden]") {
  Ward ward;
  auto const id = ward.claimed({.retries = 1, .retry_on = mp::RetryOn::timeout});
  ward.table.entry(id).word = ChunkWord{id.generation, 0, Phase::Condemned}.pack();
  ward.table.entry(id).flags |= TaskEntry::kStop;
  ward.bury();
  CHECK(ward.table.phase(id) == Phase::Late);
  CHECK(ward.table.entry(id).late_pid == 1234);
}

TEST_CASE("what waits for its time is free, and forgotten when it is given up", "[task_warden]") {
  Ward ward;
  constexpr std::uint32_t kHour = 3'600'000;
  auto const id = ward.claimed({.retries = 1, .backoff_ms = kHour});
  CHECK(!ward.warden.has_postponed());
  ward.bury();
  CHECK(ward.table.phase(id) == Phase::Free);
  CHECK(!ward.is_in_ring(id));
  CHECK(!ward.warden.next().is_never());
  ward.warden.run_due();
  CHECK(!ward.is_in_ring(id));
  CHECK(ward.warden.has_postponed());
  ward.table.tasks().drop_free(ward.table.segment());
  CHECK(ward.table.phase(id) == Phase::Dropped);
  CHECK(!ward.warden.has_postponed());
  CHECK(ward.warden.next().is_never());
}

TEST_CASE("what is late is settled, or condemned when it may be run once more", "[task_warden]") {
  Ward ward;
  auto const waits = [] {
    for (;;) ::pause();
    return 0;
  };
  ward.nursery.start(0, launch::new_child_identity(), waits);
  auto const run_late = [&](TaskId) {
    ward.page().deadline = 1;
    ward.table.board().next_deadline = 1;
    ward.warden.kill_doomed();
    CHECK(ward.warden.is_doomed(0));
  };
  SECTION("settled") {
    auto const id = ward.claimed({.timeout_ms = 1});
    run_late(id);
    CHECK(ward.table.phase(id) == Phase::Late);
    CHECK(ward.table.entry(id).late_pid == ward.nursery.pid(0));
  }
  SECTION("condemned") {
    auto const id = ward.claimed({.retries = 1, .retry_on = mp::RetryOn::timeout, .timeout_ms = 1});
    run_late(id);
    CHECK(ward.table.phase(id) == Phase::Condemned);
    CHECK(!ward.table.settle(id, 0));  // it is not its worker's any more
    ward.bury();
    CHECK(ward.is_in_ring(id));
  }
  SECTION("condemned, for whoever else may run it") {
    auto const id = ward.claimed({.timeout_ms = 1, .ends_first = true});
    run_late(id);
    CHECK(ward.table.phase(id) == Phase::Condemned);
    ward.bury();
    CHECK(ward.table.phase(id) == Phase::Late);
    CHECK(ward.table.entry(id).late_pid == 1234);
  }
  CHECK(ward.nursery.wait(Deadline::never()).ended.at(0).status.signal() == SIGKILL);
}

TEST_CASE("at the end all are given up", "[task_warden]") {
  Ward ward;
  auto const held = ward.claimed();
  auto const waits = ward.table.publish("x");
  ward.warden.drop_all();
  CHECK(ward.table.phase(held) == Phase::Dropped);
  CHECK(ward.table.phase(waits) == Phase::Dropped);
}

}  // namespace task_warden_test
