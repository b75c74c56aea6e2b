// SPDX-License-Identifier: BSL-1.0
// Runs the tests. Around every test case stands a watchdog, and a count of what it leaves behind.
#include <execinfo.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
using Listener = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
using Listener = Catch::TestEventListenerBase;
#endif

#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/launch/life_line.hpp>
#include <multiprocessing/start_method.hpp>

#include "leftovers.hpp"

namespace {

// More than a busy machine takes to single-step through the longest scene.
constexpr unsigned kDefaultWatchdogSeconds = 200;

unsigned watchdog_seconds() {
  char const* const text = std::getenv("MULTIPROCESSING_TEST_WATCHDOG");
  return text != nullptr ? static_cast<unsigned>(std::atoi(text)) : kDefaultWatchdogSeconds;
}

char current_test[256];

// Says where this process hangs and what its children do, then ends them all.
void bite(int) {
  std::fprintf(stderr, "\nWATCHDOG: '%s' hangs\n", current_test);
  void* frames[64];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO);
  for (auto const& process : support::process_group()) {
    std::fprintf(stderr, "  process %d (%s) state %c waits in %s\n", process.pid,
                 process.command.c_str(), process.state, process.waits_in.c_str());
  }
  ::kill(0, SIGKILL);
}

int failures = 0;

class Guard : public Listener {
 public:
  using Listener::Listener;

  void testCaseStarting(Catch::TestCaseInfo const& info) override {
    std::strncpy(current_test, info.name.c_str(), sizeof current_test - 1);
    before_ = support::Holdings::now();
    ::alarm(watchdog_seconds());
  }
  void testCaseEnded(Catch::TestCaseStats const&) override {
    ::alarm(0);
    multiprocessing::launch::ForkServer::of_this_process().stop();
    auto const left = support::what_is_left_since(before_);
    if (left.empty()) return;
    std::fprintf(stderr, "LEFT BEHIND by '%s':\n%s", current_test, left.c_str());
    ++failures;
  }

 private:
  support::Holdings before_;
};

}  // namespace

CATCH_REGISTER_LISTENER(Guard)

namespace {
/// The one that the environment names, for tests that leave it to the program.
void set_start_method() {
  char const* const name = std::getenv("MULTIPROCESSING_TEST_START_METHOD");
  for (auto const method : multiprocessing::get_all_start_methods()) {
    if (name != nullptr && to_string(method) == name) multiprocessing::set_start_method(method);
  }
}
}  // namespace

int main(int argc, char** argv) {
  multiprocessing::init(argc, argv);
  set_start_method();
  ::setpgid(0, 0);  // so that the watchdog can end whatever the test started
  std::signal(SIGALRM, bite);
  multiprocessing::launch::LifeLine::reader();  // stays, as of the first daemon on
  int const result = Catch::Session().run(argc, argv);
  return result != 0 ? result : (failures != 0 ? 1 : 0);
}
