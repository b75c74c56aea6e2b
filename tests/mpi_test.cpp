// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi.hpp>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/lock.hpp>

#include "support/catch.hpp"
#include "support/executor_suite.hpp"
#include "support/helpers.hpp"
#include "support/tasks.hpp"
#include "support/temporary_directory.hpp"

namespace mpi_test {

namespace mp = multiprocessing;
using mp::mpi::PoolExecutor;
using support::numbers;
using support::square;
using support::squares;
using namespace std::chrono_literals;

namespace {

int ranks() { return mp::mpi::Engine::current().load()->size(); }
int serving_ranks() { return std::max(ranks() - 1, 1); }

struct Ranks {
  static PoolExecutor make(int workers) {
    return PoolExecutor((workers + serving_ranks() - 1) / serving_ranks());
  }
  static int workers_of(PoolExecutor const& executor) { return executor.num_workers(); }
  static PoolExecutor make_small() {
    return PoolExecutor({.workers_per_rank = 1, .max_memory_per_task = 64u << 20});
  }
};

/// Whether the text has "rank 2 on node3", as it is, of one that serves.
bool names_a_rank(std::string const& text) {
  auto const& all = mp::mpi::Engine::current().load()->ranks();
  for (int rank = 1; rank < ranks(); ++rank) {
    auto const& hello = all[static_cast<std::size_t>(rank)];
    if (text.find(mp::mpi::name_of_rank(rank, hello.host_name())) != text.npos) return true;
  }
  return false;
}

int setting = 0;
void set(int value) { setting = value; }

/// The parent of a worker's nursery is told to people as this.
int workers_owner() { return mp::launch::identity().parent_pid; }

}  // namespace

TEST_CASE("an executor of ranks does what executors do") { support::executor_suite::run<Ranks>(); }

TEST_CASE("every rank that serves has workers, and gets work") {
  PoolExecutor executor(2);
  CHECK(executor.num_workers() == 2 * serving_ranks());
  support::executor_suite::AllHeld<Ranks> const held(executor);
  held.let_go();
  std::set<int> owners;
  for (int round = 0; static_cast<int>(owners.size()) < serving_ranks() && round < 1000; ++round) {
    for (int const owner : executor.map([](int) { return workers_owner(); }, numbers(100))) {
      owners.insert(owner);
    }
  }
  CHECK(static_cast<int>(owners.size()) == serving_ranks());
}

TEST_CASE("a rank has by default its share of the processors") {
  PoolExecutor const executor;
  CHECK(executor.num_workers() >= serving_ranks());
}

TEST_CASE("every worker of every rank is initialized") {
  PoolExecutor executor({.workers_per_rank = 1, .initializer = mp::bind(set, 7)});
  for (int const value : executor.map([](int) { return setting; }, numbers(200))) {
    CHECK(value == 7);
  }
}

TEST_CASE("an initializer that fails breaks the executor, which says why, and where") {
  auto const why = [](mp::work::Initializer const& initializer) {
    PoolExecutor executor({.workers_per_rank = 1, .initializer = initializer});
    auto const text =
        support::message_of<mp::BrokenProcessPool>([&] { executor.submit(square, 1).result(); });
    CHECK_THROWS_AS(executor.submit(square, 1).result(), mp::BrokenProcessPool);
    return text;
  };
  auto const text = why([] { throw std::runtime_error("no model"); });
  CHECK_THAT(text, ContainsSubstring("its initializer has thrown std::runtime_error: no model"));
  if (ranks() > 1) CHECK_THAT(text, ContainsSubstring("the pool is broken, rank "));
  CHECK_THAT(why([] { ::raise(SIGSEGV); }), ContainsSubstring("again and again"));
  PoolExecutor next(1);
  CHECK(next.submit(square, 3).result() == 9);
}

TEST_CASE("on one rank alone a task fails that the others could do") {
  // An initializer may fail on some ranks only.
  if (ranks() < 3) return;
  support::TemporaryDirectory const directory;
  auto const first_only = [](std::string const& path) {
    if (!std::filesystem::create_directory(path)) throw std::runtime_error("taken");
  };
  PoolExecutor executor(
      {.workers_per_rank = 1, .initializer = mp::bind(first_only, directory.path("x"))});
  CHECK_THAT(support::message_of<mp::BrokenProcessPool>([&] {
               for (;;) executor.submit(square, 1).result();
             }),
             ContainsSubstring("std::runtime_error: taken"));
}

TEST_CASE("a death tells host and rank") {
  if (ranks() == 1) return;
  PoolExecutor executor(1);
  auto const text =
      support::message_of<mp::WorkerDied>([&] { executor.submit(support::kill_self, 1).result(); });
  CHECK(names_a_rank(text));
  auto const thrown = executor.submit([] { throw std::runtime_error("x"); });
  auto const told = mp::format_exception(thrown.exception());
  CHECK_THAT(told, ContainsSubstring("), mpi.PoolExecutor.submit"));
  CHECK(names_a_rank(told));
}

TEST_CASE("a task is given up for good when it has ended as many workers as it may") {
  support::TemporaryDirectory const directory;
  PoolExecutor executor({.workers_per_rank = 1, .quarantine_after = 2});
  auto const poison = [](std::string const& path) {
    support::executor_suite::note(path);
    std::raise(SIGKILL);
  };
  auto const path = directory.path("runs");
  CHECK_THAT(support::message_of<mp::WorkerDied>(
                 [&] { executor.submit({.retries = 100}, poison, path).result(); }),
             ContainsSubstring("1 before it had died, too"));
  CHECK(support::executor_suite::note(path) == 3);
}

TEST_CASE("a worker is replaced after as many calls as it may do, on each rank") {
  PoolExecutor executor({.workers_per_rank = 1, .max_tasks_per_child = 3});
  auto const pids = executor.map([](int) { return ::getpid(); }, numbers(30)).collect();
  CHECK(std::set<int>(pids.begin(), pids.end()).size() >= 10);
}

TEST_CASE("shared objects do not leave the machine") {
  if (ranks() == 1) return;
  PoolExecutor executor(1);
  mp::Lock const lock;
  auto const use = [](mp::Lock const&) {};
  CHECK_THAT(support::message_of<mp::PicklingError>([&] { executor.submit(use, lock); }),
             ContainsSubstring("mpi.PoolExecutor.submit: shared objects"));
  CHECK_THROWS_AS(executor.submit([] { return mp::Lock(); }).result(), mp::PicklingError);
  CHECK(executor.submit(square, 3).result() == 9);
}

TEST_CASE("in a child, and in a worker, there are no executors of ranks") {
  auto const make = [] {
    try {
      PoolExecutor executor(1);
    } catch (std::logic_error const& error) {
      return std::string(error.what()).find("mpi::run()") != std::string::npos ? 3 : 4;
    }
    return 5;
  };
  support::RawChild child(make);
  CHECK(child.exitcode() == 3);
  PoolExecutor executor(1);
  CHECK(executor.submit(make).result() == 3);
  support::RawChild other([&] {
    try {
      executor.submit(square, 1);
    } catch (std::logic_error const&) {
      return 3;
    }
    return 4;
  });
  CHECK(other.exitcode() == 3);
}

TEST_CASE("work that one rank has too much of is done by those that have none") {
  if (ranks() < 3) return;
  PoolExecutor executor(1);
  // So short that each rank gets thousands ahead; then a few that take long.
  CHECK(executor.map(square, numbers(20'000)).collect() == squares(20'000));
  // Tasks that say who runs them, and wait until they may go on. The rank of the first one goes on
  // last: when all others are done, so those that were waiting behind it.
  struct Begun {
    int owner;
    int task;
  };
  constexpr int kTasks = 12;
  support::Pipe begun;
  std::vector<support::Pipe> go(kTasks);
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < kTasks; ++i) {
    futures.push_back(executor.submit(
        [](int task, support::PipeElsewhere told, support::PipeElsewhere waits_for) {
          Begun const self{workers_owner(), task};
          auto const fd = told.open(told.writer, O_WRONLY);
          if (::write(fd.get(), &self, sizeof self) != sizeof self) std::abort();
          waits_for.hear();
          return self.owner;
        },
        i, support::PipeElsewhere::of(begun),
        support::PipeElsewhere::of(go[static_cast<std::size_t>(i)])));
  }
  Begun first{};
  std::set<int> owners;
  for (int i = 0; i < kTasks; ++i) {
    Begun next{};
    REQUIRE(::read(begun.reader.get(), &next, sizeof next) == sizeof next);
    owners.insert(next.owner);
    if (i == 0) {
      first = next;
    } else {
      CHECK(next.owner != first.owner);
      go[static_cast<std::size_t>(next.task)].tell();
    }
  }
  go[static_cast<std::size_t>(first.task)].tell();
  CHECK(static_cast<int>(owners.size()) == serving_ranks());
  for (auto const& future : futures) CHECK(owners.count(future.result()) == 1);
}

TEST_CASE("what waits for its next try holds up nothing, and nobody takes it before its time") {
  support::TemporaryDirectory const directory;
  PoolExecutor executor(1);
  auto const fails = [](std::string const& path) {
    support::executor_suite::note(path);
    throw std::runtime_error("not yet");
  };
  mp::SubmitOptions const patient{.retries = 1, .retry_on = mp::RetryOn::exception, .backoff = 1h};
  std::vector<mp::Future<void>> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(executor.submit(patient, fails, directory.path(std::to_string(i))));
    // In turn, so that each rank gets some, and soon has nothing else.
    CHECK(executor.submit(square, i).result() == square(i));
  }
  auto const runs = [&](int i) {
    std::ifstream file(directory.path(std::to_string(i)));
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  };
  for (int i = 0; i < 10; ++i) {
    while (runs(i) == 0) ::sched_yield();
  }
  CHECK(executor.map(square, numbers(1000)).collect() == squares(1000));
  for (int i = 0; i < 10; ++i) {
    CHECK(runs(i) == 1);
    CHECK_FALSE(waiting[static_cast<std::size_t>(i)].done());
  }
  executor.terminate_workers();
}

TEST_CASE("results of all sizes come together") {
  PoolExecutor executor(1);
  auto const make = [](std::size_t size) { return std::vector<char>(size, 'x'); };
  std::vector<mp::Future<std::vector<char>>> futures;
  std::vector<std::size_t> const sizes{0, 1, 24, 25, 108, 109, 5000, 70'000'000, 3, 8};
  for (auto const size : sizes) futures.push_back(executor.submit(make, size));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    auto const result = futures[i].result();
    CHECK(result.size() == sizes[i]);
    CHECK(std::count(result.begin(), result.end(), 'x') == static_cast<std::ptrdiff_t>(sizes[i]));
  }
}

TEST_CASE("a hundred thousand tasks are right while workers are killed at random") {
  PoolExecutor executor(2);
  auto const risky = [](int x) {
    // One in some thousand runs, whichever.
    static unsigned state = static_cast<unsigned>(::getpid()) * 2654435761u;
    state = state * 1664525u + 1013904223u;
    if (state >> 20 == 0) std::raise(SIGKILL);
    return square(x);
  };
  int const count = static_cast<int>(support::setting("MULTIPROCESSING_TEST_MPI_TASKS", 100'000));
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < count; ++i)
    futures.push_back(executor.submit({.retries = 50}, risky, i % 1000));
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    wrong += futures[static_cast<std::size_t>(i)].result() != square(i % 1000);
  }
  CHECK(wrong == 0);
}

}  // namespace mpi_test
