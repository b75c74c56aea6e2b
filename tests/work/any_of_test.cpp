// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/any_of.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace any_of_test {

namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using namespace std::chrono_literals;
using Groups = std::vector<std::shared_ptr<TaskGroup>>;

namespace {

// Workers inherit them: forked after they were made.
support::Pipe* pipes;

/// Returns when it is told by its own pipe.
int hear(int i) {
  pipes[i].hear();
  return i;
}

/// Tasks that run at once, of one crew or each of its own.
struct Running {
  support::Pipe own_pipes[3];
  std::vector<std::shared_ptr<Crew>> crews;
  Groups groups;

  explicit Running(int crew_count) {
    pipes = own_pipes;
    for (int i = 0; i < crew_count; ++i) {
      crews.push_back(std::make_shared<Crew>(Crew::Options{.workers = 3}));
    }
    for (int i = 0; i < 3; ++i) {
      auto const& crew = crews[static_cast<std::size_t>(i % crew_count)];
      groups.push_back(submit_call(crew, "test", {}, &hear, i));
    }
  }
  ~Running() {
    for (auto const& crew : crews) crew->terminate("test", Crew::Ending::kill);
  }

  bool is_settled(std::size_t i) const { return groups[i]->settled(); }
  auto some() const {
    return [this] { return is_settled(0) || is_settled(1) || is_settled(2); };
  }
  auto all() const {
    return [this] { return is_settled(0) && is_settled(1) && is_settled(2); };
  }
};

}  // namespace

TEST_CASE("of none there is nothing to wait for", "[any_of]") {
  CHECK(await_any(
      {}, [] { return true; }, base::Deadline::never()));
  CHECK_FALSE(await_any(
      {}, [] { return false; }, base::Deadline::never()));
}

TEST_CASE("whichever settles first ends the wait for any, the last that for all", "[any_of]") {
  for (int const crews : {1, 2, 3}) {
    Running running(crews);
    CHECK_FALSE(await_any(running.groups, running.some(), base::Deadline::after(1ms)));
    pipes[1].tell();
    CHECK(await_any(running.groups, running.some(), base::Deadline::never()));
    CHECK(running.is_settled(1));
    CHECK_FALSE(running.is_settled(0));
    CHECK_FALSE(await_any(running.groups, running.all(), base::Deadline::after(1ms)));
    pipes[0].tell();
    pipes[2].tell();
    CHECK(await_any(running.groups, running.all(), base::Deadline::never()));
  }
}

TEST_CASE("what has settled before is not waited for", "[any_of]") {
  for (int const crews : {1, 2}) {
    Running running(crews);
    for (auto& pipe : running.own_pipes) pipe.tell();
    for (auto const& group : running.groups) group->wait_until(base::Deadline::never());
    CHECK(await_any(running.groups, running.all(), base::Deadline::never()));
  }
}

TEST_CASE("several threads wait for the same tasks", "[any_of]") {
  for (int const crews : {1, 2}) {
    Running running(crews);
    std::atomic<int> told{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&] {
        if (await_any(running.groups, running.some(), base::Deadline::never())) ++told;
      });
    }
    pipes[2].tell();
    for (auto& waiter : waiters) waiter.join();
    CHECK(told == 3);
  }
}

TEST_CASE("a worker that dies settles its task for who waits for any", "[any_of]") {
  for (int const crews : {1, 3}) {
    Running running(crews);
    for (int const pid : running.crews[0]->worker_pids("test")) ::kill(pid, SIGKILL);
    pipes[0].tell();  // unless it had begun: that one is lost
    CHECK(await_any(running.groups, running.some(), base::Deadline::never()));
  }
}

TEST_CASE("the end of a crew ends the wait for its tasks", "[any_of]") {
  for (int const crews : {1, 3}) {
    Running running(crews);
    std::thread ending([&] { running.crews[0]->terminate("test", Crew::Ending::kill); });
    CHECK(await_any(
        running.groups, [&] { return running.is_settled(0); }, base::Deadline::never()));
    ending.join();
  }
}

}  // namespace any_of_test
