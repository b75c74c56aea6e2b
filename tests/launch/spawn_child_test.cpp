// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/spawn_child.hpp>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"

namespace launch = multiprocessing::launch;
namespace mp = multiprocessing;

namespace spawn_child_test {

using Function = launch::CallTarget<void (*)()>;

std::unique_ptr<launch::Child> spawn(launch::Target const& target) {
  auto const who = launch::new_child_identity();
  return launch::spawn_child({*who, target, {}, launch::ChildFds({}, false)});
}

std::string start_fails(Function const& target) {
  try {
    spawn(target);
  } catch (mp::ProcessDied const& error) {
    return error.what();
  }
  return "it started";
}

class OtherProgram {
 public:
  explicit OtherProgram(char const* path) { launch::Executable::instance().set(path); }
  ~OtherProgram() { launch::Executable::instance().set(mp::os::kThisProgram); }
};

struct RefusesToArrive {
  template <class Archive>
  void save(Archive& archive) const {
    archive(0);
  }
  template <class Archive>
  void load(Archive& archive) {
    int ignored = 0;
    archive(ignored);
    throw std::runtime_error("not here");
  }
};
struct KillsWhoReadsIt : RefusesToArrive {
  template <class Archive>
  void load(Archive& archive) {
    int ignored = 0;
    archive(ignored);
    std::raise(SIGKILL);
  }
};
void take(RefusesToArrive const&) {}
void take_killer(KillsWhoReadsIt const&) {}

TEST_CASE("a program that does not call init is told from one that does", "[spawn_child]") {
  OtherProgram const other("/bin/true");
  auto const text = start_fails(Function(std::in_place, [] {}));
  CHECK(text.find("exited with code 0 before it had begun") != std::string::npos);
  CHECK(text.find("init(argc, argv)") != std::string::npos);
}

TEST_CASE("a program that can not be run is told by start", "[spawn_child]") {
  OtherProgram const other("/nowhere/program");
  CHECK_THROWS_AS(spawn(Function(std::in_place, [] {})), std::system_error);
}

TEST_CASE("what goes wrong while arguments are read comes back to start", "[spawn_child]") {
  launch::CallTarget<void (*)(RefusesToArrive const&), RefusesToArrive> const refuses(
      std::in_place, &take, RefusesToArrive());
  try {
    spawn(refuses);
    FAIL("it started");
  } catch (mp::ProcessDied const& error) {
    CHECK(std::string(error.what()).find("std::runtime_error: not here") != std::string::npos);
  }
  launch::CallTarget<void (*)(KillsWhoReadsIt const&), KillsWhoReadsIt> const kills(
      std::in_place, &take_killer, KillsWhoReadsIt());
  try {
    spawn(kills);
    FAIL("it started");
  } catch (mp::ProcessDied const& error) {
    CHECK(error.signal() == SIGKILL);
    CHECK(std::string(error.what()).find("was killed by SIGKILL") != std::string::npos);
  }
}

TEST_CASE("no descriptors pile up, whether processes start or not", "[spawn_child]") {
  Function const target(std::in_place, [] {});
  spawn(target)->wait_until(mp::base::Deadline::never());
  auto const before = support::open_fds();
  for (int i = 0; i < 20; ++i) {
    spawn(target)->wait_until(mp::base::Deadline::never());
    OtherProgram const other("/bin/false");
    start_fails(target);
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("without init no process is spawned", "[spawn_child]") {
  launch::is_initialized() = false;
  CHECK_THROWS_AS(spawn(Function(std::in_place, [] {})), std::logic_error);
  launch::is_initialized() = true;
}

}  // namespace spawn_child_test
