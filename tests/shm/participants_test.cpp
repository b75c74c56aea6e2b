// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/participants.hpp>

#include <thread>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"
#include "../support/stepper.hpp"

namespace participants_test {

using multiprocessing::shm::Participant;
namespace os = multiprocessing::os;

namespace {
using Place = support::InSharedMemory<Participant>;

/// A child that calls `enter` and waits to be killed. Tells what that returned.
class Entrant {
 public:
  template <class Enter>
  explicit Entrant(Enter const& enter)
      : pipe_(),
        child_([&] {
          pipe_.tell(enter() ? 'y' : 'n');
          for (;;) ::pause();
        }),
        answer_(pipe_.hear() == 'y') {}

  bool has_entered() const { return answer_; }
  pid_t pid() const { return child_.pid(); }
  void kill_and_leave_zombie() const {
    child_.kill();
    support::wait_for_state(child_.pid(), "Z");
  }
  void kill() {
    child_.kill();
    child_.wait();
  }

 private:
  support::Pipe pipe_;
  support::RawChild child_;
  bool answer_;
};
}  // namespace

TEST_CASE("a place is one generation's from its claim to its burial", "[participants]") {
  Place const place;
  for (std::uint32_t generation = 0; generation < 3; ++generation) {
    CHECK(place->is_free());
    CHECK(place->generation() == generation);
    place->claim();
    CHECK_FALSE(place->is_free());
    CHECK(place->pid() == 0);
    Entrant entrant([&] { return place->enter(generation); });
    CHECK(entrant.has_entered());
    CHECK(place->pid() == entrant.pid());
    CHECK(place->life().is_held());
    CHECK_FALSE(place->is_dead());
    entrant.kill();
    CHECK(place->is_dead());
    CHECK_FALSE(place->is_free());
    CHECK(place->generation() == generation);
    place->free();
    CHECK_FALSE(place->life().holder_is_dead());
  }
  CHECK(place->generation() == 3);
}

TEST_CASE("a zombie is dead", "[participants]") {
  Place const place;
  place->claim();
  Entrant const entrant([&] { return place->enter(0); });
  entrant.kill_and_leave_zombie();
  CHECK(place->is_dead());
}

TEST_CASE("a process lives on when the thread that entered has ended", "[participants]") {
  Place const place;
  place->claim();
  Entrant entrant([&] {
    bool entered = false;
    std::thread([&] { entered = place->enter(0); }).join();
    return entered;
  });
  CHECK(entrant.has_entered());
  CHECK_FALSE(place->life().is_held());
  CHECK_FALSE(place->is_dead());
  entrant.kill_and_leave_zombie();
  CHECK(place->is_dead());
  entrant.kill();
  CHECK(place->is_dead());
}

TEST_CASE("a claim for a process that nobody has named is not dead yet", "[participants]") {
  Place const place;
  place->claim();
  CHECK_FALSE(place->is_dead());
}

TEST_CASE("a process that was named dies also before it enters", "[participants]") {
  Place const place;
  place->claim();
  Entrant entrant([] { return false; });
  place->set_pid(entrant.pid(), place->generation());
  CHECK(place->pid() == entrant.pid());
  CHECK_FALSE(place->is_dead());
  entrant.kill_and_leave_zombie();
  CHECK(place->is_dead());
  entrant.kill();
  CHECK(place->is_dead());
}

TEST_CASE("a claim for a process that could not be made is dead", "[participants]") {
  Place const place;
  place->claim();
  place->set_pid(-1, place->generation());
  CHECK(place->is_dead());
}

TEST_CASE("a parent that comes late with the pid changes nothing", "[participants]") {
  Place const place;
  place->claim();
  Entrant const entrant([&] { return place->enter(0); });
  place->set_pid(-1, place->generation());
  CHECK(place->pid() == entrant.pid());
  CHECK_FALSE(place->is_dead());
}

TEST_CASE("a place that was taken away is not entered", "[participants]") {
  Place const place;
  place->claim();
  place->set_pid(-1, place->generation());
  REQUIRE(place->is_dead());
  place->free();
  CHECK_FALSE(Entrant([&] { return place->enter(0); }).has_entered());
  CHECK(place->is_free());
  CHECK_FALSE(place->life().is_held());
  place->claim();  // for somebody else
  CHECK_FALSE(Entrant([&] { return place->enter(0); }).has_entered());
  CHECK(place->pid() == 0);
  CHECK(Entrant([&] { return place->enter(1); }).has_entered());
}

TEST_CASE("a place that is another's is not entered", "[participants]") {
  Place const place;
  place->claim();
  Entrant const first([&] { return place->enter(0); });
  Entrant const second([&] { return place->enter(0); });
  CHECK_FALSE(second.has_entered());
  CHECK(place->pid() == first.pid());
  CHECK_FALSE(place->is_dead());
}

TEST_CASE("a process that enters is taken for dead at no step", "[participants]") {
  Place const place;
  support::Pipe go;
  place->claim();
  auto const claimed_at = os::ticks_since_boot();
  while (os::ticks_since_boot() < claimed_at + 2) std::this_thread::yield();  // a slow fork
  support::RawChild child([&] {
    go.hear();
    place->enter(0);
    for (;;) ::pause();
  });
  support::wait_until_asleep(child.pid());
  support::Stepper stepper(child.pid());
  go.tell();
  long dead = 0;
  do {
    if (place->is_dead()) ++dead;
  } while (stepper.step(1) == 1 && !place->life().is_held());
  CHECK(place->life().is_held());
  CHECK(dead == 0);
  stepper.kill();
  child.forget();
}

}  // namespace participants_test
