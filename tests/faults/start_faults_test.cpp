// SPDX-License-Identifier: BSL-1.0
// Processes that end before they should: by each start method, in each stage of their life, in each
// way. Whoever started them is told, and nothing is left of them.
#include <multiprocessing/process.hpp>

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <type_traits>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/start_method.hpp>

#include "../support/catch.hpp"
#include "../support/faults.hpp"
#include "../support/helpers.hpp"
#include "../support/start_methods.hpp"

namespace start_faults_test {

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::Fault;
using support::happen;
using support::kFaults;

namespace {

constexpr int kUncaught = 1;
constexpr int kNowhereToGo = -SIGABRT;

struct Outcome {
  bool has_started;
  int exitcode;
  friend bool operator==(Outcome const&, Outcome const&) = default;
  friend std::ostream& operator<<(std::ostream& out, Outcome const& outcome) {
    return out << (outcome.has_started ? "started, " : "not started, ") << outcome.exitcode;
  }
};

template <class Way, class... Call>
Outcome outcome_of(Call&&... call) {
  mp::Process process(Way::options(), std::forward<Call>(call)...);
  try {
    process.start();
  } catch (mp::ProcessDied const& error) {
    return {false, error.exitcode()};
  }
  process.join();
  return {true, process.exitcode().value()};
}

/// Happens where it is read.
struct Trap {
  Fault fault = Fault::Exit;
  template <class Archive>
  void save(Archive& archive) const {
    archive(fault);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(fault);
    happen(fault);
  }
};

// What a process meets before it has read what it is for: in a forked one, a handler of fork; in
// another run of the program, a static object.
constexpr char kBeforeMain[] = "MULTIPROCESSING_TEST_BEFORE_MAIN";
Fault in_the_forked = Fault::Exit;
void prepare_fork(Fault fault) {
  in_the_forked = fault;
  std::signal(SIGABRT, SIG_DFL);  // the test program's own handler is no child's
  ::pthread_atfork(nullptr, nullptr, []() noexcept { happen(in_the_forked); });
}
[[maybe_unused]] bool const began = []() noexcept {
  char const* const fault = std::getenv(kBeforeMain);
  if (fault != nullptr) happen(static_cast<Fault>(std::atoi(fault)));
  return true;
}();

template <class Way>
void prepare_start(Fault fault) {
  if constexpr (std::is_same_v<Way, ByFork>) prepare_fork(fault);
  if constexpr (std::is_same_v<Way, BySpawn>) {
    ::setenv(kBeforeMain, std::to_string(static_cast<int>(fault)).c_str(), 1);
  }
  if constexpr (std::is_same_v<Way, ByForkServer>) {
    mp::set_forkserver_preload([fault] { prepare_fork(fault); });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a fault before it knows what it is for", "[faults]", ByFork, BySpawn,
                   ByForkServer) {
  for (auto const fault : kFaults) {
    // A process of its own, for what is prepared stays.
    support::RawChild parent([=] {
      prepare_start<TestType>(fault);
      auto const outcome = outcome_of<TestType>([] {});
      mp::launch::ForkServer::of_this_process().stop();
      bool const is_copy = std::is_same_v<TestType, ByFork>;
      return outcome == Outcome{is_copy, support::exitcode_after(fault, kNowhereToGo)} ? 0 : 1;
    });
    INFO("fault " << static_cast<int>(fault));
    CHECK(parent.wait() == 0);
  }
}

TEMPLATE_TEST_CASE("a fault while its arguments are read", "[faults]", BySpawn, ByForkServer) {
  for (auto const fault : kFaults) {
    INFO("fault " << static_cast<int>(fault));
    CHECK(outcome_of<TestType>([](Trap const&) {}, Trap{fault}) ==
          Outcome{false, support::exitcode_after(fault, kUncaught)});
  }
}

TEMPLATE_TEST_CASE("a fault in user code", "[faults]", ByFork, BySpawn, ByForkServer) {
  for (auto const fault : kFaults) {
    INFO("fault " << static_cast<int>(fault));
    CHECK(outcome_of<TestType>(&happen, fault) ==
          Outcome{true, support::exitcode_after(fault, kUncaught)});
  }
}

TEMPLATE_TEST_CASE("a fault at its exit", "[faults]", ByFork, BySpawn, ByForkServer) {
  for (auto const fault : kFaults) {
    auto const leave = [](Fault how) {
      static Fault fault_at_exit;
      fault_at_exit = how;
      std::atexit([] { happen(fault_at_exit); });
    };
    INFO("fault " << static_cast<int>(fault));
    CHECK(outcome_of<TestType>(leave, fault) ==
          Outcome{true, support::exitcode_after(fault, kNowhereToGo)});
  }
}

// MULTIPROCESSING_TEST_SHORT_LIVES=1000 by all start methods: spawn takes a minute for that.
TEMPLATE_TEST_CASE("many short lives", "[faults]", ByFork, BySpawn, ByForkServer) {
  long const usual = std::is_same_v<TestType, ByFork> ? 1000 : 100;
  auto const lives =
      support::setting("MULTIPROCESSING_TEST_SHORT_LIVES", support::kSanitized ? 50 : usual);
  long good = 0;
  for (long i = 0; i < lives; ++i) good += outcome_of<TestType>([] {}) == Outcome{true, 0} ? 1 : 0;
  CHECK(good == lives);
}

}  // namespace start_faults_test
