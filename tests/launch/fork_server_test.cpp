// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/fork_server.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/start_method.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace launch = multiprocessing::launch;
namespace mp = multiprocessing;

namespace fork_server_test {

template <class F, class... Args>
mp::Process started(F f, Args... args) {
  mp::Process process({.start_method = mp::StartMethod::forkserver}, f, args...);
  process.start();
  return process;
}
pid_t server() { return launch::ForkServer::of_this_process().pid().value(); }

void wait_for(mp::Event event) { event.wait(); }

TEST_CASE("children are forked by one server, and have the owner for a parent", "[fork_server]") {
  mp::Queue<pid_t> pids;
  auto const tell = [](mp::Queue<pid_t> queue) {
    queue.put(::getppid());
    queue.put(mp::parent_process()->pid());
    queue.put(mp::parent_process()->is_alive() ? 1 : 0);
  };
  for (int i = 0; i < 3; ++i) {
    auto process = started(tell, pids);
    process.join();
    CHECK(pids.get() == server());
    CHECK(pids.get() == ::getpid());
    CHECK(pids.get() == 1);
  }
}

TEST_CASE("a server that is killed is replaced, and its children go on", "[fork_server]") {
  mp::Event go;
  auto first = started(wait_for, go);
  auto const killed = server();
  ::kill(killed, SIGKILL);
  auto second = started(wait_for, go);
  CHECK(server() != killed);
  CHECK(first.is_alive());
  CHECK_FALSE(first.join_for(std::chrono::milliseconds(1)));
  go.set();
  first.join();
  second.join();
  CHECK(first.exit_status()->unknown());
  CHECK(second.exitcode() == 0);
}

TEST_CASE("a server that is killed at any moment fails no start", "[fork_server]") {
  int failed = 0;
  for (int i = 0; i < 60; ++i) {
    started([] {}).join();
    auto const victim = server();
    std::thread killer([victim, i] {
      for (int spin = 0; spin < i * 300; ++spin)
        std::atomic_signal_fence(std::memory_order_seq_cst);
      ::kill(victim, SIGKILL);
    });
    for (int j = 0; j < 3; ++j) {
      try {
        started([] {}).join();
      } catch (mp::ProcessDied const&) {
        ++failed;
      }
    }
    killer.join();
  }
  CHECK(failed == 0);
}

int loaded = 0;
void load() { loaded = 42; }
void fail_to_load() { throw std::runtime_error("no model"); }

TEST_CASE("what the server loads first, all children have", "[fork_server]") {
  launch::ForkServer::of_this_process().stop();
  mp::set_forkserver_preload(load);
  mp::Queue<int> queue;
  started([](mp::Queue<int> numbers) { numbers.put(loaded); }, queue).join();
  CHECK(queue.get() == 42);
  CHECK(loaded == 0);
  launch::ForkServer::of_this_process().stop();
  mp::set_forkserver_preload([] {});
}

TEST_CASE("a server that can not load is told by start", "[fork_server]") {
  launch::ForkServer::of_this_process().stop();
  auto const [said, status] = support::stderr_of([] {
    mp::set_forkserver_preload(fail_to_load);
    try {
      started([] {});
      return 1;
    } catch (mp::ProcessDied const& error) {
      return error.exitcode() == 1 ? 0 : 2;
    }
  });
  CHECK(status == 0);
  CHECK(said.find("uncaught std::runtime_error: no model") != std::string::npos);
}

TEST_CASE("the server goes with its owner, and the children do not", "[fork_server]") {
  mp::Queue<pid_t> pids;
  mp::Event go;
  support::RawChild owner([&] {
    auto process = started(wait_for, go);
    pids.put(server());
    pids.put(*process.pid());
    ::pause();
  });
  auto const server_pid = pids.get();
  auto const child = pids.get();
  auto const server_fd = mp::os::open_pidfd(server_pid);
  auto const child_fd = mp::os::open_pidfd(child);
  owner.kill();
  owner.wait();
  CHECK(mp::os::poll_readable(server_fd.get(), mp::base::Deadline::never()));
  CHECK_FALSE(
      mp::os::poll_readable(child_fd.get(), mp::base::Deadline::after(std::chrono::seconds(0))));
  go.set();
  CHECK(mp::os::poll_readable(child_fd.get(), mp::base::Deadline::never()));
}

TEST_CASE("children are reaped and signalled as others are", "[fork_server]") {
  mp::Event go;
  auto process = started(wait_for, go);
  process.terminate();
  process.join();
  CHECK(process.exit_status()->signal() == SIGTERM);
  process.kill();
  CHECK(mp::active_children().empty());
}

}  // namespace fork_server_test
