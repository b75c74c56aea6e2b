// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/handler_gate.hpp>

#include <atomic>
#include <thread>

#include <multiprocessing/os/thread.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace handler_gate_test {

using multiprocessing::launch::HandlerGate;

namespace {

HandlerGate& gate() { return HandlerGate::of_this_process(); }

std::string directory_of_thread(pid_t thread) {
  return "/proc/self/task/" + std::to_string(thread);
}

}  // namespace

TEST_CASE("who forks waits until the last visitor has gone", "[handler_gate]") {
  std::atomic<bool> inside{true};
  std::atomic<pid_t> forker{0};
  std::thread other;
  {
    HandlerGate::Visit const visit(gate());
    other = std::thread([&] {
      forker = multiprocessing::os::this_thread_id();
      gate().close();
      CHECK_FALSE(inside);
      gate().open_in_parent();
    });
    while (forker == 0) std::this_thread::yield();
    support::wait_for_state_in(directory_of_thread(forker), "S");
    inside = false;
  }
  other.join();
}

TEST_CASE("nobody comes in while a process forks", "[handler_gate]") {
  std::atomic<bool> forking{true};
  std::atomic<pid_t> visitor{0};
  gate().close();
  std::thread other([&] {
    visitor = multiprocessing::os::this_thread_id();
    HandlerGate::Visit const visit(gate());
    CHECK_FALSE(forking);
  });
  while (visitor == 0) std::this_thread::yield();
  support::wait_for_state_in(directory_of_thread(visitor), "S");
  forking = false;
  gate().open_in_parent();
  other.join();
}

TEST_CASE("a handler that logs, or forks, does not wait for itself", "[handler_gate]") {
  HandlerGate::Visit const outer(gate());
  {
    HandlerGate::Visit const inner(gate());
    gate().close();
    gate().open_in_parent();
  }
  gate().close();
  HandlerGate::Visit const in_between(gate());
  gate().open_in_parent();
}

TEST_CASE("neither side waits for ever for one that does not move", "[handler_gate]") {
  gate().close();
  std::thread([] { HandlerGate::Visit const visit(gate()); }).join();
  gate().open_in_parent();

  support::Pipe come;
  support::Pipe go;
  std::thread other([&] {
    HandlerGate::Visit const visit(gate());
    come.tell();
    go.hear();
  });
  come.hear();
  gate().close();
  gate().open_in_parent();
  go.tell();
  other.join();
}

TEST_CASE("a child finds the gate open, whoever was there", "[handler_gate]") {
  support::Pipe come;
  support::Pipe go;
  std::thread other([&] {
    HandlerGate::Visit const visit(gate());
    come.tell();
    go.hear();
  });
  come.hear();
  HandlerGate::Visit const visit(gate());
  gate().close();  // in vain
  support::RawChild child([] {
    gate().open_in_child();
    std::thread([] { HandlerGate::Visit const another(gate()); }).join();
    gate().close();  // waits for none but this thread
    gate().open_in_parent();
  });
  gate().open_in_parent();
  CHECK(child.wait() == 0);
  go.tell();
  other.join();
}

}  // namespace handler_gate_test
