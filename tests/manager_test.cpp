// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/manager.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/start_methods.hpp"

namespace manager_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

TEMPLATE_TEST_CASE("a manager has a process as long as its scope", "[manager]", ByFork, BySpawn,
                   ByForkServer) {
  pid_t pid = 0;
  std::optional<mp::DictProxy<int, int>> dict;
  {
    mp::Manager const manager({.start_method = TestType::options().start_method});
    pid = manager.pid();
    CHECK(manager.is_alive());
    CHECK(pid != ::getpid());
    dict = manager.dict<int, int>({{1, 2}});
    CHECK(dict->with([](std::map<int, int>&) { return ::getpid(); }) == pid);
  }
  CHECK(::kill(pid, 0) == -1);
  CHECK(support::message_of<mp::BrokenPipeError>([&] { dict->size(); }) ==
        "DictProxy.size: the manager's process has ended");
}

TEST_CASE("after its shutdown everything throws", "[manager]") {
  mp::Manager manager;
  auto const list = manager.list<int>();
  manager.shutdown();
  manager.shutdown();
  CHECK_FALSE(manager.is_alive());
  CHECK_THROWS_AS(list.append(1), mp::BrokenPipeError);
  CHECK(support::message_of<mp::BrokenPipeError>([&] { manager.list<int>(); }) ==
        "Manager.list: the manager's process has ended");
}

TEST_CASE("a killed manager is told to all who call it", "[manager]") {
  mp::Manager const manager;
  auto const list = manager.list<int>();
  support::Pipe up;
  support::RawChild other([&] {
    list.append(1);
    up.tell();
    try {
      for (;;) list.append(1);
    } catch (mp::BrokenPipeError const&) {
      return 0;
    }
  });
  up.hear();
  ::kill(manager.pid(), SIGKILL);
  CHECK(other.exitcode() == 0);
  CHECK_THROWS_AS(list.size(), mp::BrokenPipeError);
}

TEST_CASE("a call that does not end is ended with the grace", "[manager]") {
  std::optional<mp::Manager> manager;
  manager.emplace(mp::ManagerOptions{.grace = 10ms});
  auto const list = manager->list<int>();
  mp::Value<int> begun(0);
  std::jthread caller([&] {
    CHECK_THROWS_AS(list.with(
                        [](std::vector<int>&, mp::Value<int> its) {
                          its = 1;
                          for (;;) ::pause();
                        },
                        begun),
                    mp::BrokenPipeError);
  });
  while (begun.value() == 0) std::this_thread::yield();
  manager.reset();
}

TEST_CASE("a manager goes with its owner, however that ends", "[manager]") {
  for (bool const by_signal : {true, false}) {
    support::Pipe up;
    support::RawChild owner([&] {
      mp::Manager const manager;
      manager.list<int>().append(1);
      up.tell();
      if (by_signal) ::pause();
      std::_Exit(0);
    });
    CHECK(up.hear() == '.');
    if (by_signal) owner.kill();
    owner.wait();
    up.writer.reset();
    CHECK(up.drain().empty());  // end of file: its process is gone, too
  }
}

TEST_CASE("Ctrl-C does not reach it", "[manager]") {
  mp::Manager const manager;
  auto const list = manager.list<int>();
  ::kill(manager.pid(), SIGINT);
  list.append(1);
  CHECK(list.size() == 1);
}

namespace {
int prepared = 0;
void prepare(int number) { prepared = number; }
}  // namespace

TEST_CASE("an initializer runs in its process first", "[manager]") {
  mp::Manager const manager({}, prepare, 7);
  CHECK(manager.list<int>().with([](std::vector<int>&) { return prepared; }) == 7);
  CHECK(prepared == 0);
}

TEST_CASE("an initializer that fails is told", "[manager]") {
  auto const before = support::Holdings::now();
  CHECK(support::message_of<std::domain_error>(
            [] { mp::Manager({}, [] { throw std::domain_error("no model"); }); }) == "no model");
  CHECK_THROWS_AS(mp::Manager({}, [] { std::_Exit(3); }), mp::ProcessDied);
  CHECK(support::what_is_left_since(before).empty());
}

TEST_CASE("its locks, queues and values are shared objects", "[manager]") {
  std::optional<mp::Manager> manager(std::in_place);
  auto const queue = manager->Queue<int>(1);
  auto const value = manager->Value<int>(5);
  auto const array = manager->Array<int>({1, 2});
  auto const lock = manager->Lock();
  auto const event = manager->Event();
  manager.reset();
  mp::Process process([=] {
    std::scoped_lock const guard(lock);
    queue.put(value.value() + array[1]);
    event.set();
  });
  process.start();
  event.wait();
  CHECK(queue.get() == 7);
  process.join();
}

TEST_CASE("only its creator ends it", "[manager]") {
  mp::Manager manager;
  support::RawChild child([&] {
    try {
      manager.shutdown();
      return 1;
    } catch (std::logic_error const&) {
      return 0;
    }
  });
  CHECK(child.exitcode() == 0);
  manager.list<int>();
}

}  // namespace manager_test
