// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/value.hpp>
#include <multiprocessing/work/submit.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"
#include "../support/tasks.hpp"

namespace task_test {

namespace mp = multiprocessing;
namespace base = multiprocessing::base;
using namespace multiprocessing::work;
using namespace std::chrono_literals;
using Phase = ChunkWord::Phase;

namespace {

// Workers inherit them: forked after they were made.
support::Pipe* started;
support::Pipe* go;

int square_when_told(int x) {
  started->tell();
  go->hear();
  return x * x;
}
int fail(int x) { throw std::out_of_range("no such item: " + std::to_string(x)); }
int die_when_told(int x) {
  started->tell();
  go->hear();
  return support::kill_self(x);
}
int leave(int x) { ::_exit(x); }
int die_at_first(mp::RawValue<int> const& tries) {
  tries = tries.value() + 1;
  return tries.value() < 3 ? support::kill_self(0) : tries.value();
}

struct OwnCrew {
  support::Pipe pipes[2];
  std::shared_ptr<Crew> crew;

  explicit OwnCrew(int workers = 1) {
    started = &pipes[0];
    go = &pipes[1];
    crew = std::make_shared<Crew>(Crew::Options{.workers = workers});
  }
  ~OwnCrew() { crew->terminate("test", Crew::Ending::kill); }

  template <class F, class... Args>
  std::shared_ptr<TaskGroup> submit(F f, Args const&... args) {
    return submit_with({}, f, args...);
  }
  template <class F, class... Args>
  std::shared_ptr<TaskGroup> submit_with(TaskTerms const& options, F f, Args const&... args) {
    return submit_call(crew, "Pool.apply", options, f, args...);
  }
};

bool waits(TaskGroup const& group) { return group.wait_until(base::Deadline::never()); }
int result_of(TaskGroup const& group) {
  waits(group);
  return collect_one<int>(group);
}

}  // namespace

TEST_CASE("a group waits for its task, and has its result as often as it is asked", "[task]") {
  OwnCrew own;
  auto const group = own.submit(&square_when_told, 5);
  started->hear();
  CHECK_FALSE(group->settled());
  CHECK_FALSE(group->wait_until(base::Deadline::after(1ms)));
  CHECK(group->phase(0) == Phase::Claimed);
  go->tell();
  CHECK(waits(*group));
  CHECK(group->settled());
  CHECK(collect_one<int>(*group) == 25);
  CHECK(collect_one<int>(*group) == 25);
}

TEST_CASE("a group of many has settled when all have", "[task]") {
  OwnCrew own;
  TaskGroup group(own.crew, "Pool.map_async", 3);
  using Code = CallCode<int (*)(int), int>;
  for (int i = 0; i < 3; ++i) submit<Code>(group, {}, &square_when_told, i);
  CHECK(group.size() == 3);
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(group.settled());
    started->hear();
    go->tell();
  }
  CHECK(waits(group));
  CHECK(group.settled());
}

TEST_CASE("an empty group has settled", "[task]") {
  OwnCrew own;
  TaskGroup const group(own.crew, "Pool.map_async", 0);
  CHECK(group.settled());
  CHECK(group.wait_until(base::Deadline::now()));
}

TEST_CASE("what a task throws its result throws, with the call and the item", "[task]") {
  OwnCrew own;
  auto const group = own.submit(&fail, 5);
  waits(*group);
  CHECK(group->phase(0) == Phase::Failed);
  for (int i = 0; i < 2; ++i) {
    CHECK(support::message_of<std::out_of_range>([&] { collect_one<int>(*group); }) ==
          "no such item: 5");
  }
  try {
    collect_one<int>(*group);
  } catch (std::exception const&) {
    auto const text = mp::wire::format(mp::wire::record_current_exception());
    CHECK_THAT(text, ContainsSubstring("Pool.apply"));
  }
}

TEST_CASE("a task whose worker dies is lost, and says how that ended", "[task]") {
  OwnCrew own;
  auto const killed = own.submit(&die_when_told, 1);
  started->hear();
  int const pid = own.crew->worker_pids("test").at(0);
  go->tell();
  waits(*killed);
  CHECK(killed->phase(0) == Phase::Lost);
  try {
    collect_one<int>(*killed);
    CHECK(false);
  } catch (mp::WorkerDied const& error) {
    CHECK(error.signal() == SIGKILL);
    CHECK(error.pid() == pid);
    CHECK_THAT(error.what(), ContainsSubstring("Pool.apply: worker process"));
  }
  auto const left = own.submit(&leave, 3);
  waits(*left);
  try {
    collect_one<int>(*left);
    CHECK(false);
  } catch (mp::WorkerDied const& error) {
    CHECK(error.exitcode() == 3);
  }
}

TEST_CASE("a task may cost as many workers as it has retries, not more", "[task]") {
  OwnCrew own;
  mp::RawValue<int> const tries(0);
  auto const good = own.submit_with({.retries = 2}, &die_at_first, tries);
  CHECK(result_of(*good) == 3);
  tries = 0;
  auto const bad = own.submit_with({.retries = 1}, &die_at_first, tries);
  waits(*bad);
  CHECK(tries.value() == 2);
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { collect_one<int>(*bad); }),
             ContainsSubstring("1 before it had died, too"));
}

TEST_CASE("a task that is late is killed, and one that is not is not", "[task]") {
  OwnCrew own;
  auto const late = own.submit_with({.timeout_ms = 20}, &square_when_told, 1);
  started->hear();
  int const pid = own.crew->worker_pids("test").at(0);
  waits(*late);
  CHECK(late->phase(0) == Phase::Late);
  try {
    collect_one<int>(*late);
    CHECK(false);
  } catch (mp::TaskTimeout const& error) {
    CHECK(error.pid() == pid);
    CHECK_THAT(error.what(), ContainsSubstring("20 ms"));
  }
  go->tell();  // for nobody, or the next
  CHECK(result_of(*own.submit_with({.timeout_ms = 1'000'000}, &support::square, 3)) == 9);
}

TEST_CASE("what no worker has begun is given up by a cancel, what one runs is not", "[task]") {
  OwnCrew own;
  auto const running = own.submit(&square_when_told, 5);
  started->hear();
  auto const waiting = own.submit(&support::square, 6);
  CHECK_FALSE(running->cancel());
  CHECK(waiting->cancel());
  CHECK(waiting->cancel());  // as before
  CHECK(waiting->settled());
  CHECK_THAT(support::message_of<mp::CancelledError>([&] { collect_one<int>(*waiting); }),
             ContainsSubstring("Pool.apply: it was cancelled"));
  go->tell();
  CHECK(result_of(*running) == 25);
  CHECK_FALSE(running->cancel());
  CHECK_FALSE(running->cancel_running());
}

TEST_CASE("what a worker runs is given up by a cancel of what runs: the worker is killed",
          "[task]") {
  OwnCrew own;
  auto const running = own.submit(&square_when_told, 5);
  started->hear();
  int const pid = own.crew->worker_pids("test").at(0);
  CHECK(running->cancel_running());
  CHECK(running->settled());
  CHECK_THROWS_AS(collect_one<int>(*running), mp::CancelledError);
  auto const pids = own.submit([] { return static_cast<int>(::getpid()); });
  CHECK(result_of(*pids) != pid);
}

TEST_CASE("of a group, a cancel of what runs gives up all that has not settled", "[task]") {
  OwnCrew own;
  TaskGroup group(own.crew, "Pool.map_async", 3);
  using Code = CallCode<int (*)(int), int>;
  for (int i = 0; i < 3; ++i) submit<Code>(group, {}, &square_when_told, i);
  started->hear();
  go->tell();
  started->hear();
  CHECK_FALSE(group.cancel_running());  // the first is done
  CHECK(waits(group));
  CHECK(group.phase(0) == Phase::Done);
  CHECK(group.phase(1) == Phase::Dropped);
  CHECK(group.phase(2) == Phase::Dropped);
}

TEST_CASE("tasks of a terminated crew were given up", "[task]") {
  OwnCrew own;
  auto const running = own.submit(&square_when_told, 5);
  auto const waiting = own.submit(&support::square, 5);
  started->hear();
  own.crew->terminate("test");
  for (auto const& group : {running, waiting}) {
    CHECK(group->wait_until(base::Deadline::now()));
    CHECK_THROWS_AS(collect_one<int>(*group), mp::CancelledError);
  }
}

TEST_CASE("tasks of a crew whose nursery has died are broken with it", "[task]") {
  OwnCrew own;
  auto const group = own.submit([] { return static_cast<int>(::getpid()); });
  int const worker = result_of(*group);
  auto const running = own.submit(&square_when_told, 5);
  started->hear();
  std::ifstream file("/proc/" + std::to_string(worker) + "/stat");
  std::string stat;
  std::getline(file, stat);
  ::kill(std::stoi(stat.substr(stat.rfind(')') + 4)), SIGKILL);
  CHECK(waits(*running));
  CHECK(running->settled());
  CHECK_THROWS_AS(collect_one<int>(*running), mp::BrokenProcessPool);
  CHECK(collect_one<int>(*group) == worker);  // what is there stays
}

TEST_CASE("messages name the items that a task was for", "[task]") {
  OwnCrew own;
  auto const origin = [&](std::uint64_t items, std::uint64_t chunk_size, std::size_t i) {
    TaskGroup group(own.crew, "Pool.map_async", items);
    std::vector<int> numbers = support::numbers(static_cast<int>(items));
    submit_items<int (*)(int), int>(group, {}, &leave, numbers, chunk_size);
    waits(group);
    return support::message_of<mp::WorkerDied>([&] { static_cast<void>(group.result(i)); });
  };
  CHECK_THAT(origin(3, 1, 1), ContainsSubstring("Pool.map_async, item 1 of 3:"));
  CHECK_THAT(origin(3, 2, 0), ContainsSubstring("Pool.map_async, items 0 to 1 of 3:"));
  CHECK_THAT(origin(3, 2, 1), ContainsSubstring("Pool.map_async, item 2 of 3:"));
  TaskGroup group(own.crew, "Pool.imap");
  group.set_first_item(40);
  submit<ItemsCode<int (*)(int), int>>(group, {}, &leave, std::vector{1});
  waits(group);
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { static_cast<void>(group.result(0)); }),
             ContainsSubstring("Pool.imap, from item 40 on:"));
}

TEST_CASE("a group that is dropped leaves no memory, settled or not", "[task]") {
  OwnCrew own;
  CHECK(result_of(*own.submit(&support::square, 1)) == 1);
  auto const before = support::used_blocks();
  std::string const large(10'000, 'x');
  auto const echo = [](std::string const& text) { return text; };
  {
    auto const group = own.submit(echo, large);
    waits(*group);
    CHECK(collect_one<std::string>(*group) == large);
  }
  CHECK(support::used_blocks() == before);
  {
    auto const running = own.submit(&square_when_told, 1);
    started->hear();
    auto const dropped = own.submit(echo, large);
  }
  go->tell();
  for (int i = 0; i < 4; ++i) result_of(*own.submit(&support::square, 1));  // these sweep
  CHECK(support::used_blocks() == before);
}

}  // namespace task_test
