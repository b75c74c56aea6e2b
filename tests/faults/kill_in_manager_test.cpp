// SPDX-License-Identifier: BSL-1.0
// SIGKILL of a manager's client at each moment, see support/scenes.hpp, of its first call, and of a
// later one; of clients at random, and of the manager itself.
//
//   MULTIPROCESSING_TEST_MANAGER_CALLS=100000     more calls a client, of eight
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/manager.hpp>
#include <multiprocessing/serve/server.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"

namespace kill_in_manager_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

using support::Scene;

/// How many objects the manager has.
template <class Proxy>
std::size_t objects(Proxy const& any) {
  return any.with([](auto&) { return mp::serve::Server::of_this_process()->objects().size(); });
}

/// What a manager and its dictionary are in all scenes.
struct Shared {
  mp::Manager manager;
  mp::DictProxy<int, std::string> dict = manager.dict<int, std::string>();
};

struct WithDict : Scene {
  explicit WithDict(Shared const& all) : shared(&all), dict(all.dict) { dict.clear(); }

  /// Others are served, and nothing is left of the dead.
  void check_others() {
    dict[2] = "other";
    REQUIRE(dict[2] == "other");
    while (objects(dict) != 1) {  // its thread has not heard of it yet
    }
  }

  Shared const* shared;
  mp::DictProxy<int, std::string> dict;
};

}  // namespace

TEST_CASE("a client is killed at every step of its first call", "[faults]") {
  Shared const shared;
  struct Call : WithDict {
    using WithDict::WithDict;
    void victim() { dict[1] = "done"; }
    void check() {
      auto const value = dict.get(1);
      REQUIRE((!value || *value == "done"));
      check_others();
    }
  };
  CHECK(support::kill_at_every_step(support::stride(53), [&] { return Call(shared); }) > 1);
}

TEST_CASE("a client is killed at every step of a later call", "[faults]") {
  Shared const shared;
  struct Call : WithDict {
    using WithDict::WithDict;
    void prepare() { dict[1] = "before"; }
    void victim() { dict[1] = std::string(9'000, 'x'); }  // in a block
    void check() {
      auto const value = dict.at(1);
      REQUIRE((value == "before" || value == std::string(9'000, 'x')));
      check_others();
    }
  };
  CHECK(support::kill_at_every_step(support::stride(17), [&] { return Call(shared); }) > 1);
}

TEST_CASE("a client is killed at every step of making an object and dropping it", "[faults]") {
  Shared const shared;
  struct Make : WithDict {
    using WithDict::WithDict;
    void prepare() { dict[1] = "before"; }
    void victim() { shared->manager.list<std::string>({"text"}); }
    void check() { check_others(); }
  };
  CHECK(support::kill_at_every_step(support::stride(11), [&] { return Make(shared); }) > 1);
}

TEST_CASE("a storm of kills over clients loses no call and doubles none", "[faults]") {
  constexpr int kClients = 8;
  long const calls = support::setting("MULTIPROCESSING_TEST_MANAGER_CALLS", 2'000);
  mp::Manager const manager;
  auto const dict = manager.dict<int, long>();
  mp::Array<long> const done(kClients);   // calls that have returned
  mp::Array<long> const began(kClients);  // and those that were begun
  auto const live = [&](int number) {
    return std::make_unique<support::RawChild>([&, number] {
      auto const i = static_cast<std::size_t>(number);
      while (done[i] < calls) {
        began.atomic(i).fetch_add(1);
        dict.update(number, [](long& x) { ++x; });
        done.atomic(i).fetch_add(1);
      }
    });
  };
  std::vector<std::unique_ptr<support::RawChild>> clients;
  for (int number = 0; number < kClients; ++number) clients.push_back(live(number));
  std::minstd_rand random(1);  // NOLINT: the same run every time, as far as the kernel lets it
  int kills = 0;
  for (int left = kClients; left > 0;) {
    auto const number = random() % kClients;
    auto& client = clients[number];
    if (client == nullptr) continue;
    for (auto pause = random() % 50; pause > 0; --pause) ::sched_yield();
    client->kill();
    int const status = client->wait();
    client.reset();
    if (done[number] >= calls || kills >= 100) {
      if (WIFSIGNALED(status)) {
        live(static_cast<int>(number))->wait();  // what is left, undisturbed
      }
      --left;
      continue;
    }
    ++kills;
    client = live(static_cast<int>(number));
  }
  for (std::size_t number = 0; number < kClients; ++number) {
    auto const counted = dict.get(static_cast<int>(number), 0);
    CHECK(counted >= done[number]);
    CHECK(counted <= began[number]);
  }
  CHECK(kills > 0);
}

TEST_CASE("a killed manager leaves no client waiting", "[faults]") {
  std::minstd_rand random(1);  // NOLINT: the same run every time, as far as the kernel lets it
  for (int round = 0; round < 20; ++round) {
    mp::Manager const manager;
    auto const dict = manager.dict<int, int>();
    std::vector<std::unique_ptr<support::RawChild>> clients;
    for (int number = 0; number < 4; ++number) {
      clients.push_back(std::make_unique<support::RawChild>([&, number] {
        try {
          for (;;) {
            dict[number] = number;
            if (number % 2 == 0) manager.list<int>();
          }
        } catch (mp::BrokenPipeError const&) {
          return 0;
        }
      }));
    }
    for (auto pause = random() % 50; pause > 0; --pause) ::sched_yield();
    ::kill(manager.pid(), SIGKILL);
    for (auto const& client : clients) CHECK(client->exitcode() == 0);
  }
}

}  // namespace kill_in_manager_test
