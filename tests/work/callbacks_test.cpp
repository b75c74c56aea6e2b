// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/callbacks.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace callbacks_test {

namespace base = multiprocessing::base;
namespace shm = multiprocessing::shm;
using namespace multiprocessing::work;
using namespace std::chrono_literals;

namespace {

struct Scene {
  Board board;  // its nursery_life is held by nobody: the C library would look for it afterwards
  std::optional<Callbacks> callbacks;

  Scene() { callbacks.emplace(board); }
};

auto const kDue = [] { return true; };

std::size_t threads_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Threads:")) return std::stoul(line.substr(8));
  }
  return 0;
}

}  // namespace

TEST_CASE("without callbacks there is no thread for them", "[callbacks]") {
  auto const before = threads_of(::getpid());
  Scene scene;
  CHECK(threads_of(::getpid()) == before);
  scene.callbacks->finish();
}

TEST_CASE("what is due is called once, in the order added", "[callbacks]") {
  Scene scene;
  std::vector<int> calls;
  std::atomic<bool> called{false};
  for (int i = 0; i < 5; ++i) {
    scene.callbacks->add(kDue, [&calls, i] { calls.push_back(i); });
  }
  scene.callbacks->add(kDue, [&] { called = true; });
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
  scene.callbacks->finish();
  CHECK(calls == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("what is not due is called when the news tell of it, before older ones that are not",
          "[callbacks]") {
  Scene scene;
  std::atomic<bool> due[2]{false, false};
  std::atomic<bool> called[2]{false, false};
  for (int i : {0, 1}) {
    scene.callbacks->add([&due, i] { return due[i].load(); }, [&called, i] { called[i] = true; });
  }
  CHECK_FALSE(scene.callbacks->wait(called[0], base::Deadline::after(1ms)));
  for (int i : {1, 0}) {
    due[i] = true;
    scene.board.tasks.tell_all();
    CHECK(scene.callbacks->wait(called[i], base::Deadline::never()));
    CHECK(called[0] == (i == 0));
  }
}

TEST_CASE("one that throws harms none", "[callbacks]") {
  Scene scene;
  std::atomic<bool> called{false};
  scene.callbacks->add(kDue, [] { throw std::runtime_error("dropped"); });
  scene.callbacks->add(kDue, [] { throw 5; });
  scene.callbacks->add(kDue, [&] { called = true; });
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
}

TEST_CASE("what a callback holds is gone when its wait is over", "[callbacks]") {
  Scene scene;
  auto const held = std::make_shared<std::atomic<bool>>(false);
  auto& called = *held;
  scene.callbacks->add(kDue, [held] { *held = true; });
  std::atomic<bool> last{false};
  scene.callbacks->add(kDue, [&] { last = true; });
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
  CHECK(scene.callbacks->wait(last, base::Deadline::never()));
  CHECK(held.use_count() == 1);
}

TEST_CASE("a callback may add another one", "[callbacks]") {
  Scene scene;
  std::atomic<bool> called{false};
  scene.callbacks->add(kDue, [&] { scene.callbacks->add(kDue, [&called] { called = true; }); });
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
}

TEST_CASE("a callback that waits for one is not kept waiting", "[callbacks]") {
  Scene scene;
  std::atomic<bool> never{false};
  std::atomic<bool> called{false};
  scene.callbacks->add(kDue, [&] {
    CHECK(scene.callbacks->wait(never, base::Deadline::never()));
    called = true;
  });
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
}

TEST_CASE("finish calls what is due, and forgets what is not", "[callbacks]") {
  Scene scene;
  int calls = 0;
  auto const held = std::make_shared<int>(0);
  scene.callbacks->add(kDue, [&] { ++calls; });
  scene.callbacks->add([] { return false; }, [held, &calls] { calls += 100; });
  scene.callbacks->finish();
  CHECK(calls == 1);
  scene.callbacks->finish();  // again: nothing happens
  scene.callbacks.reset();
  CHECK(calls == 1);
  CHECK(held.use_count() == 1);
}

TEST_CASE("a callback may end the callbacks: those behind it are called, too", "[callbacks]") {
  auto scene = std::make_shared<Scene>();
  std::atomic<int> calls{0};
  auto const held = std::make_shared<support::Pipe>();
  auto const due = [scene] { return true; };  // what is added keeps the board
  scene->callbacks->add(due, [&, &callbacks = *scene->callbacks] {
    ++calls;
    callbacks.finish();
  });
  scene->callbacks->add(due, [&calls, held] { calls += 100; });
  scene->callbacks->finish();
  CHECK(calls == 101);
  CHECK(held.use_count() == 1);
}

TEST_CASE("the last who has the callbacks may be the last callback", "[callbacks]") {
  auto scene = std::make_shared<Scene>();
  std::weak_ptr<Scene> const gone = scene;
  scene->callbacks->add([scene] { return true; }, [] {});
  scene.reset();
  while (!gone.expired()) std::this_thread::yield();
}

TEST_CASE("many may end the callbacks at once, and more may come meanwhile", "[callbacks]") {
  for (int round = 0; round < 50; ++round) {
    auto const scene = std::make_shared<Scene>();
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        scene->callbacks->add([scene] { return true; }, [&] { ++calls; });
        scene->callbacks->finish();
      });
    }
    for (auto& thread : threads) thread.join();
    scene->callbacks->finish();
    CHECK(calls == 4);
  }
}

TEST_CASE("when the nursery has died, what its death makes due is called", "[callbacks]") {
  support::InSharedMemory<Board> board;
  support::Pipe held;
  support::RawChild nursery([&] {
    board->nursery_life.hold();
    held.tell();
    for (;;) ::pause();
  });
  held.hear();
  Callbacks callbacks(*board);
  std::atomic<bool> called{false};
  callbacks.add([&] { return board->nursery_life.holder_is_dead(); }, [&] { called = true; });
  CHECK_FALSE(callbacks.wait(called, base::Deadline::after(1ms)));
  nursery.kill();
  CHECK(callbacks.wait(called, base::Deadline::never()));
}

TEST_CASE("a forked child has no thread for callbacks, and finishes without it", "[callbacks]") {
  Scene scene;
  std::atomic<bool> due{false};
  std::atomic<int> calls{0};
  std::atomic<bool> called{false};
  scene.callbacks->add([&] { return due.load(); },
                       [&] {
                         ++calls;
                         called = true;
                       });
  support::RawChild child([&] {
    due = true;
    scene.callbacks->finish();
    scene.callbacks.reset();
    return threads_of(::getpid()) == 1 && calls == 0 ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  due = true;
  scene.board.tasks.tell_all();
  CHECK(scene.callbacks->wait(called, base::Deadline::never()));
  CHECK(calls == 1);
}

TEST_CASE("handlers of signals do not run in the thread for callbacks", "[callbacks]") {
  Scene scene;
  std::atomic<bool> called{false};
  sigset_t mask;
  sigemptyset(&mask);
  scene.callbacks->add(kDue, [&] {
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    called = true;
  });
  REQUIRE(scene.callbacks->wait(called, base::Deadline::never()));
  for (int const signal : {SIGINT, SIGTERM, SIGUSR1}) CHECK(::sigismember(&mask, signal) == 1);
}

}  // namespace callbacks_test
