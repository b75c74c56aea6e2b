// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/exit_status.hpp>

#include <sstream>

#include "../support/catch.hpp"

namespace exit_status_test {

using namespace std::chrono_literals;
using multiprocessing::ExitStatus;
using multiprocessing::os::ChildEnd;

namespace {
std::string shown(ExitStatus const& status) {
  std::ostringstream out;
  out << status;
  return out.str();
}
}  // namespace

TEST_CASE("an exit shows its code", "[exit_status]") {
  auto const status = ExitStatus::from({ChildEnd::State::Ended, CLD_EXITED, 3});
  CHECK(status.exited());
  CHECK(status.exitcode() == 3);
  CHECK(status.signal() == 0);
  CHECK(shown(status) == "exited with code 3");
}

TEST_CASE("a death by signal shows the signal, and is a negative exit code", "[exit_status]") {
  auto const killed = ExitStatus::from({ChildEnd::State::Ended, CLD_KILLED, SIGKILL});
  CHECK(killed.signaled());
  CHECK(killed.exitcode() == -SIGKILL);
  CHECK(killed.signal() == SIGKILL);
  CHECK(shown(killed) == "was killed by SIGKILL");
  auto const dumped = ExitStatus::from({ChildEnd::State::Ended, CLD_DUMPED, SIGSEGV});
  CHECK(dumped.core_dumped());
  CHECK(shown(dumped) == "was killed by SIGSEGV (core dumped)");
}

TEST_CASE("what a process used is told, and makes its end no other one", "[exit_status]") {
  auto const thrifty = ExitStatus::from({ChildEnd::State::Ended, CLD_EXITED, 3});
  auto const wasteful =
      ExitStatus::from({ChildEnd::State::Ended, CLD_EXITED, 3, {25U << 19, 200ms, 50ms}});
  CHECK(thrifty == wasteful);
  CHECK(wasteful.usage().peak_memory == 25U << 19);
  std::ostringstream out;
  out << wasteful.usage();
  CHECK(out.str() == "peak memory 12.5 MiB, processor time 0.250 s");
}

TEST_CASE("an end that nobody knows is not passed off as success", "[exit_status]") {
  auto const status = ExitStatus::from({ChildEnd::State::Stolen, 0, 0});
  CHECK(status.unknown());
  CHECK_FALSE(status.exited());
  CHECK(status.exitcode() == 255);
  CHECK_THAT(shown(status), ContainsSubstring("unknown"));
}

}  // namespace exit_status_test
