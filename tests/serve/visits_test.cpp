// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/visits.hpp>

#include <atomic>
#include <latch>
#include <memory>

#include "../support/catch.hpp"

namespace visits_test {

using namespace multiprocessing::serve;

namespace {

struct End {
  std::atomic<bool> closed{false};

  void wait() const { closed.wait(false); }
  void close() {
    closed = true;
    closed.notify_all();
  }
};

void close(End& end) { end.close(); }
void refuse(End&) { FAIL("a thread could be made"); }

}  // namespace

TEST_CASE("a thread that waits is stopped by the end of its end", "[visits]") {
  auto const end = std::make_shared<End>();
  std::latch waits(1);
  Visits<End> visits;
  visits.begin(
      end,
      [&](Visit<End>& visit) {
        visit.set_answering(false);
        waits.count_down();
        visit.end().wait();
        visit.drop_end();
      },
      &refuse);
  waits.wait();
  visits.stop(&close);
  visits.join();
  CHECK(end.use_count() == 1);
}

TEST_CASE("a thread that answers is not stopped before it waits again", "[visits]") {
  auto const end = std::make_shared<End>();
  std::latch answers(1);
  std::latch go(1);
  bool goes_on = true;
  Visits<End> visits;
  visits.begin(
      end,
      [&](Visit<End>& visit) {
        visit.set_answering(true);
        answers.count_down();
        go.wait();
        goes_on = visit.set_answering(false);
      },
      &refuse);
  answers.wait();
  visits.stop(&close);
  CHECK_FALSE(end->closed);
  go.count_down();
  visits.join();
  CHECK_FALSE(goes_on);
}

TEST_CASE("a thread that answers is abandoned", "[visits]") {
  auto const end = std::make_shared<End>();
  std::latch answers(1);
  Visits<End> visits;
  visits.begin(
      end,
      [&](Visit<End>& visit) {
        answers.count_down();
        visit.end().wait();
      },
      &refuse);
  answers.wait();
  visits.abandon(&close);
  visits.join();
  CHECK(end->closed);
}

TEST_CASE("what has no end any more is not closed", "[visits]") {
  std::latch dropped(1);
  std::latch go(1);
  Visits<End> visits;
  visits.begin(
      std::make_shared<End>(),
      [&](Visit<End>& visit) {
        visit.drop_end();
        dropped.count_down();
        go.wait();
      },
      &refuse);
  dropped.wait();
  auto const never = [](End&) { FAIL("it has been dropped"); };
  visits.stop(never);
  visits.abandon(never);
  go.count_down();
  visits.join();
}

}  // namespace visits_test
