// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/life_lock.hpp>

#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace life_lock_test {

using multiprocessing::base::Deadline;
using multiprocessing::shm::LifeLock;
namespace os = multiprocessing::os;

namespace {
using Shared = support::InSharedMemory<LifeLock>;

/// A child that holds `lock` and waits to be killed.
class Holder {
 public:
  explicit Holder(Shared const& lock)
      : child_([&] {
          lock->hold();
          held_.tell();
          for (;;) ::pause();
        }) {
    held_.hear();
  }
  void kill() {
    child_.kill();
    child_.wait();
  }

 private:
  support::Pipe held_;
  support::RawChild child_;
};
}  // namespace

TEST_CASE("the holder's death shows however it ends, also while it is a zombie", "[life_lock]") {
  for (bool const killed : {false, true}) {
    Shared const lock;
    support::Pipe held;
    support::Pipe go;
    pid_t const pid = ::fork();
    if (pid == 0) {
      lock->hold();
      held.tell();
      go.hear();
      ::_exit(0);
    }
    held.hear();
    CHECK_FALSE(lock->holder_is_dead());
    CHECK(lock->watch(lock->holder()).has_value());
    if (killed) {
      ::kill(pid, SIGKILL);
    } else {
      go.tell();
    }
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);  // leaves the zombie
    CHECK(lock->holder_is_dead());
    CHECK_FALSE(lock->watch(lock->holder()).has_value());
    ::waitpid(pid, nullptr, 0);
  }
}

TEST_CASE("a life lock is held from hold() to the holder's death", "[life_lock]") {
  Shared const lock;
  CHECK_FALSE(lock->is_held());
  Holder holder(lock);
  CHECK(lock->is_held());
  holder.kill();
  CHECK_FALSE(lock->is_held());
  CHECK(lock->holder_is_dead());
}

TEST_CASE("the death of a life lock's holder is the end of the thread", "[life_lock]") {
  Shared const lock;
  bool held = false;
  std::thread([&] {
    lock->hold();
    held = lock->is_held() && !lock->try_hold();
  }).join();
  CHECK(held);
  CHECK(lock->holder_is_dead());
}

TEST_CASE("a life lock is taken from the dead but never from the living", "[life_lock]") {
  Shared const lock;
  Holder holder(lock);
  CHECK_FALSE(lock->try_hold());
  CHECK(lock->is_held());
  holder.kill();
  bool taken = false;
  std::thread([&] {
    taken = lock->try_hold() && lock->is_held() && !lock->holder_is_dead();
  }).join();
  CHECK(taken);
  CHECK(lock->holder_is_dead());
}

TEST_CASE("who tries to hold what a dead process held is watched like any other", "[life_lock]") {
  Shared const lock;
  Holder(lock).kill();
  support::Pipe held;
  support::Pipe end;
  support::RawChild child([&] {
    held.tell(lock->try_hold() ? 'y' : 'n');
    end.hear();
  });
  CHECK(held.hear() == 'y');
  CHECK(lock->watch(lock->holder()).has_value());
  end.tell();
  child.wait();
  CHECK_FALSE(lock->watch(lock->holder()).has_value());
}

TEST_CASE("the end of something within a thread is seen as a death is", "[life_lock]") {
  Shared const lock;
  lock->stand_for(::getpid());
  CHECK(lock->is_held());
  CHECK_FALSE(lock->holder_is_dead());
  auto const watched = lock->watch(lock->holder());
  REQUIRE(watched.has_value());
  support::RawChild sleeper([&] {
    while (!lock->holder_is_dead()) {
      static_cast<void>(os::futex_wait(*watched->word, watched->expected,
                                           Deadline::never()));
    }
  });
  support::wait_until_asleep(sleeper.pid());
  lock->end();
  CHECK(sleeper.exitcode() == 0);
  CHECK_FALSE(lock->is_held());
  CHECK_FALSE(lock->watch(lock->holder()).has_value());
}

TEST_CASE("a cleared life lock knows nothing of the dead and serves the next", "[life_lock]") {
  Shared const lock;
  for (int round = 0; round < 3; ++round) {
    Holder holder(lock);
    lock->clear();  // does nothing to the living
    CHECK(lock->is_held());
    holder.kill();
    lock->clear();
    CHECK_FALSE(lock->holder_is_dead());
    CHECK_FALSE(lock->is_held());
    lock->clear();
    CHECK_FALSE(lock->is_held());
  }
}

TEST_CASE("who comes too late to watch a holder keeps nobody from the lock", "[life_lock]") {
  Shared const lock;
  CHECK_FALSE(lock->watch(lock->holder()).has_value());
  Holder(lock).kill();
  lock->clear();
  CHECK_FALSE(lock->watch(lock->holder()).has_value());
  bool taken = false;
  std::thread([&] { taken = lock->try_hold(); }).join();  // hold() would wait for ever
  CHECK(taken);
}

TEST_CASE("a life lock that goes from the dead to the next wakes all who watched", "[life_lock]") {
  for (bool const cleared : {true, false}) {
    Shared const lock;
    Holder holder(lock);
    std::vector<std::unique_ptr<support::RawChild>> watchers;
    for (int i = 0; i < 3; ++i) {
      watchers.push_back(std::make_unique<support::RawChild>([&] {
        auto const seen = lock->watch(lock->holder());
        while (seen->word->load() == seen->expected) {
          static_cast<void>(os::futex_wait(*seen->word, seen->expected, Deadline::never()));
        }
      }));
      support::wait_until_asleep(watchers.back()->pid());
    }
    holder.kill();
    if (cleared) lock->clear();
    if (!cleared) std::thread([&] { static_cast<void>(lock->try_hold()); }).join();
    for (auto& watcher : watchers) CHECK(watcher->wait() == 0);
  }
}

}  // namespace life_lock_test
