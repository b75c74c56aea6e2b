// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/reclaiming_counter.hpp>

#include <sys/syscall.h>

#include <thread>

#include <multiprocessing/shm/heap.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace reclaiming_counter_test {

using multiprocessing::base::Deadline;
using multiprocessing::sync::ReclaimingCounter;
namespace shm = multiprocessing::shm;
using namespace std::chrono_literals;

namespace {

/// A counter, used by whichever process calls.
class Stage {
 public:
  explicit Stage(std::uint32_t value) : counter_(value) {
    shm::Heap::instance();  // before any child is made
  }

  bool acquire(Deadline deadline = Deadline::never()) const {
    return counter_->acquire(arena(), me(), deadline);
  }
  bool release() const { return counter_->release(arena(), me()); }
  std::uint32_t value() const { return counter_->value(arena()); }

 private:
  static shm::Arena& arena() { return shm::Heap::instance().arena(); }
  static shm::Number me() { return shm::Heap::instance().me(); }

  support::InSharedMemory<ReclaimingCounter> counter_;
};

}  // namespace

TEST_CASE("each process releases what it acquired, and nothing else", "[reclaiming_counter]") {
  Stage const stage(2);
  CHECK_FALSE(stage.release());
  CHECK(stage.acquire());
  CHECK(stage.value() == 1);
  support::RawChild other([&] { return stage.release() ? 1 : 0; });
  CHECK(other.wait() == 0);
  CHECK(stage.value() == 1);
  std::thread([&] { static_cast<void>(stage.release()); }).join();
  CHECK(stage.value() == 2);
}

TEST_CASE("what the dead held is there again, also when their place is another's",
          "[reclaiming_counter]") {
  Stage const stage(1);
  for (int i = 0; i < 5; ++i) {
    support::RawChild holder([&] { return stage.acquire() ? 0 : 1; });
    CHECK(holder.wait() == 0);
    CHECK(stage.value() == 1);
    support::RawChild successor([&] { return stage.release() ? 1 : 0; });  // has its place
    CHECK(successor.wait() == 0);
  }
}

TEST_CASE("a holder whose first thread has ended still holds", "[reclaiming_counter]") {
  Stage const stage(1);
  support::Pipe held;
  support::Pipe go;
  support::RawChild holder([&] {
    std::thread([&] {
      support::wait_until_gone(::getpid(), ::getpid());
      stage.acquire();
      held.tell();
      go.hear();
      ::_exit(0);
    }).detach();
    ::syscall(SYS_exit, 0);  // of this thread alone, without unwinding
  });
  held.hear();
  CHECK(stage.value() == 0);
  CHECK_FALSE(stage.acquire(Deadline::after(30ms)));
  go.tell();
  CHECK(stage.acquire());
  CHECK(stage.release());
  holder.wait();
}

TEST_CASE("sleepers at two counters learn of one death, also when the place is taken at once",
          "[reclaiming_counter]") {
  Stage const first(1);
  Stage const second(1);
  support::Pipe held;
  support::RawChild holder([&] {
    first.acquire();
    second.acquire();
    held.tell();
    for (;;) ::pause();
  });
  held.hear();
  support::RawChild at_first([&] { return first.acquire() ? 0 : 1; });
  support::RawChild at_second([&] { return second.acquire() ? 0 : 1; });
  support::wait_until_asleep(at_first.pid());
  support::wait_until_asleep(at_second.pid());
  at_first.stop();
  at_second.stop();
  holder.kill();
  holder.wait();
  support::Pipe end;
  support::RawChild successor([&] { end.hear(); });  // has the place
  at_first.go_on();
  at_second.go_on();
  CHECK(at_first.wait() == 0);
  CHECK(at_second.wait() == 0);
  end.tell();
}

}  // namespace reclaiming_counter_test
