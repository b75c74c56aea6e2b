// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/supervisor.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include <multiprocessing/work/map.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace supervisor_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;

namespace {

// Workers inherit it: forked after it was made.
support::Pipe* started;
support::Pipe* go;
support::Pipe* ran;

}  // namespace

TEST_CASE("what a dying worker left unclaimed is run by the next, also while closing",
          "[supervisor]") {
  support::Pipe pipes[3];
  started = &pipes[0];
  go = &pipes[1];
  ran = &pipes[2];
  Crew crew({.workers = 1});
  std::atomic<int> died{0};
  std::thread caller([&] {
    try {
      map(
          crew, "Pool.map", 1,
          [](int x) {
            if (x == 0) {
              started->tell();
              go->hear();
              support::kill_self(x);
            }
            ran->tell(static_cast<char>('0' + x));
            return x;
          },
          support::numbers(5));
    } catch (mp::WorkerDied const& error) {
      died = error.signal();
    }
  });
  started->hear();
  crew.close("test");
  go->tell();
  caller.join();
  crew.join("test");
  CHECK(died == SIGKILL);
  CHECK(ran->drain() == "1234");
}

TEST_CASE("a worker that ignores SIGTERM is gone after the terminate all the same",
          "[supervisor]") {
  support::Pipe pipe;
  started = &pipe;
  Crew crew({.workers = 2});
  std::atomic<bool> cancelled{false};
  std::thread caller([&] {
    try {
      map(
          crew, "Pool.map", 1,
          [](int x) {
            std::signal(SIGTERM, SIG_IGN);
            started->tell();
            for (;;) ::pause();
            return x;
          },
          support::numbers(4));
    } catch (mp::CancelledError const&) {
      cancelled = true;
    }
  });
  started->hear();
  started->hear();
  crew.terminate("test");
  caller.join();
  CHECK(cancelled);
}

}  // namespace supervisor_test
