// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/life_lock.hpp>

#include <new>

#include <multiprocessing/shm/segment.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

using multiprocessing::shm::LifeLock;
namespace shm = multiprocessing::shm;

TEST_CASE("the holder's death shows however it ends, also while it is a zombie", "[life_lock]") {
  for (bool const killed : {false, true}) {
    shm::Segment const segment("test", 1 << 16, 1 << 16);
    segment.commit({4096, 4096});
    auto* const lock = new (segment.data(4096)) LifeLock;
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
    CHECK(lock->watch().has_value());
    if (killed) {
      ::kill(pid, SIGKILL);
    } else {
      go.tell();
    }
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);  // leaves the zombie
    CHECK(lock->holder_is_dead());
    CHECK_FALSE(lock->watch().has_value());
    ::waitpid(pid, nullptr, 0);
  }
}
