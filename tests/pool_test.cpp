// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pool.hpp>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/system_calls.hpp"
#include "support/tasks.hpp"

namespace pool_test {

namespace mp = multiprocessing;
using support::numbers;
using support::square;
using support::squares;

namespace {

class NotSendable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Coded : public std::exception {
 public:
  Coded() = default;
  explicit Coded(int value) : code(value) {}
  char const* what() const noexcept override { return "coded"; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(code);
  }
  int code = 0;
};
/// As one whose what() throws, of which compilers warn.
class Treacherous : public std::exception {
 public:
  char const* what() const noexcept override { std::terminate(); }
};

/// To the helper of the test's pool. A worker has its name, too, until it begins.
void send_to_nursery(int signal) {
  std::vector<pid_t> found;
  do {
    found.clear();
    for (auto const& process : support::process_group()) {
      if (process.command.starts_with("PoolNursery")) found.push_back(process.pid);
    }
  } while (found.size() > 1);
  for (pid_t const pid : found) ::kill(pid, signal);
}

struct Reading {
  std::string sensor;
  std::optional<double> value;
  bool operator==(Reading const&) const = default;
};

}  // namespace

TEST_CASE("a pool maps a function over items on other processes", "[pool]") {
  mp::Pool pool(2);
  CHECK(pool.map(square, numbers(100)) == squares(100));
  CHECK(pool.map({.chunksize = 7}, square, numbers(100)) == squares(100));
  auto const pids = pool.map([](int) { return static_cast<int>(::getpid()); }, numbers(100));
  CHECK(std::count(pids.begin(), pids.end(), ::getpid()) == 0);
}

TEST_CASE("a pool changes an array in place", "[pool]") {
  mp::Pool pool(2);
  mp::Array<int> array(numbers(100));
  pool.map([](int& x) { x *= x; }, array);
  CHECK(std::equal(array.begin(), array.end(), squares(100).begin()));
  std::scoped_lock const held(array.get_lock());  // others are kept away
  pool.map(
      {.chunksize = 1}, [](int& x) noexcept { x += 1; }, array);
  CHECK(array[99] == 99 * 99 + 1);
  CHECK(pool.map(square, mp::Array<int>{1, 2}) == std::vector{1, 4});  // copies: results
  pool.map([](int& x) { x = 0; }, std::as_const(array));
  CHECK(array[99] == 0);
  mp::RawArray<double> const empty(0);
  pool.map([](double& x) { x = 1; }, empty);
}

TEST_CASE("a pool has the size that was asked for", "[pool]") {
  CHECK(mp::Pool(3).worker_pids().size() == 3);
  CHECK(mp::Pool({.processes = 1}).worker_pids().size() == 1);
  CHECK(static_cast<int>(mp::Pool().worker_pids().size()) == mp::os::usable_processors());
  for (int const size : {0, -1, 100'000}) {
    CHECK_THAT(support::message_of<std::invalid_argument>([&] { mp::Pool{size}; }),
               ContainsSubstring("Pool: processes must be 1 to") &&
                   ContainsSubstring("not " + std::to_string(size)));
  }
}

TEST_CASE("a pool applies a function to arguments, and to parts of items", "[pool]") {
  mp::Pool pool(2);
  CHECK(pool.apply(square, 9) == 81);
  CHECK(pool.apply([](std::string const& a, int b) { return a + std::to_string(b); },
                   std::string("x"), 5) == "x5");
  auto const add = [](int a, double b) { return a + b; };
  std::vector<std::tuple<int, double>> const items{{1, .5}, {2, .25}};
  CHECK(pool.starmap(add, items) == std::vector{1.5, 2.25});
  CHECK(pool.starmap({.chunksize = 1}, add, std::list<std::pair<int, double>>{{3, 1}}) ==
        std::vector{4.0});
}

TEST_CASE("every worker begins with the initializer", "[pool]") {
  static int loaded = 0;  // NOLINT: of each process
  auto const load = [] { ++loaded; };
  mp::Pool pool({.processes = 2, .initializer = load, .max_tasks_per_child = 2});
  auto const seen = pool.map(
      {.chunksize = 1}, [](int) { return loaded; }, numbers(10));
  CHECK(seen == std::vector<int>(10, 1));
  CHECK(loaded == 0);
  CHECK_THROWS_AS(mp::Pool({.max_tasks_per_child = 0}), std::invalid_argument);
}

TEST_CASE("jobs and tasks share the workers", "[pool]") {
  mp::Pool pool(2);
  std::vector<mp::AsyncResult<int>> results;
  for (int i = 0; i < 100; ++i) results.push_back(pool.apply_async(square, i));
  CHECK(pool.map(square, numbers(100)) == squares(100));
  for (int i = 0; i < 100; ++i) CHECK(results[static_cast<std::size_t>(i)].get() == square(i));
}

TEST_CASE("an exception of a task reaches the caller as itself, and the pool goes on", "[pool]") {
  mp::Pool pool(2);
  auto const thrown = [&](auto const& f) { pool.map({.chunksize = 1}, f, numbers(10)); };
  CHECK(support::message_of<std::out_of_range>([&] {
          thrown([](int x) { return x == 5 ? throw std::out_of_range("five") : x; });
        }) == "five");
  CHECK_THAT(support::message_of<mp::RemoteError>(
                 [&] { thrown([](int x) { return x == 5 ? throw NotSendable("odd") : x; }); }),
             ContainsSubstring("NotSendable: odd"));
  CHECK_THROWS_AS(thrown([](int x) { return x == 5 ? throw 5 : x; }), mp::RemoteError);
  CHECK_THROWS_AS(thrown([](int x) { return x == 5 ? throw std::bad_alloc() : x; }),
                  std::bad_alloc);
  CHECK(pool.map(square, numbers(10)) == squares(10));
}

TEST_CASE("items and results are whatever can be sent", "[pool]") {
  mp::Pool pool(2);
  std::vector<std::map<std::string, Reading>> const items{{{"a", {"x", 1.5}}}, {{"b", {"y", {}}}}};
  auto const results = pool.map(
      [](std::map<std::string, Reading> const& item) {
        return std::pair(item.begin()->first, item.begin()->second);
      },
      items);
  CHECK(results == std::vector{std::pair(std::string("a"), Reading{"x", 1.5}),
                               std::pair(std::string("b"), Reading{"y", {}})});
  auto const owned = pool.map([](int x) { return std::make_unique<int>(x); }, numbers(3));
  CHECK(*owned.at(2) == 2);
  auto const square_and =
      mp::bind([](std::string const& suffix, int x) { return std::to_string(square(x)) + suffix; },
               std::string(" m"));
  CHECK(pool.map(square_and, numbers(3)) == std::vector<std::string>{"0 m", "1 m", "4 m"});
}

TEST_CASE("items and results may have padding with anything in it", "[pool]") {
  struct Holes {
    char c;
    int i;
    bool b;
  };
  std::vector<Holes> items(100);
  std::memset(static_cast<void*>(items.data()), 0xee, items.size() * sizeof(Holes));
  for (int i = 0; i < 100; ++i) {
    auto& item = items[static_cast<std::size_t>(i)];
    item.c = 'c';
    item.i = i;
    item.b = true;
  }
  auto const dirty = [](Holes const& item) {
    alignas(Holes) unsigned char storage[sizeof(Holes)];
    std::memset(storage, 0xdd, sizeof storage);
    auto& result = *new (storage) Holes;
    result.c = item.c;
    result.i = -item.i;
    result.b = !item.b;
    return result;
  };
  mp::Pool pool(2);
  auto const results = pool.map(dirty, items);
  CHECK(results.at(99).i == -99);
  CHECK_FALSE(results.at(99).b);
  auto const again = pool.map([](Holes const& item) { return item.i; }, results);
  CHECK(again.at(99) == -99);
  auto const listed = pool.map(dirty, std::list<Holes>(items.begin(), items.end()));
  CHECK(listed.at(7).i == -7);
}

TEST_CASE("an exception of a task says where it was thrown", "[pool]") {
  mp::Pool pool(1);
  auto const pid = pool.worker_pids().at(0);
  try {
    pool.map(
        {.chunksize = 3}, [](int x) { return x == 4 ? throw std::out_of_range("four") : x; },
        numbers(10));
    FAIL("no exception");
  } catch (std::out_of_range const& error) {
    CHECK(std::string(error.what()) == "four");
    try {
      std::rethrow_if_nested(error);
      FAIL("no origin");
    } catch (mp::RemoteTraceback const& origin) {
      CHECK(origin.pid() == pid);
      CHECK(origin.process_name() == "PoolWorker-1");
      CHECK(origin.task() == "Pool.map, items 3 to 5 of 10");
    }
  }
}

// In every run of the program.
[[maybe_unused]] bool const is_registered = (mp::register_exception<Coded>(), true);

TEST_CASE("a registered exception of a task arrives with its state", "[pool]") {
  mp::Pool pool(1);
  try {
    pool.map([](int x) { return x == 4 ? throw Coded(x) : x; }, numbers(10));
    FAIL("no exception");
  } catch (Coded const& error) {
    CHECK(error.code == 4);
  }
}

TEST_CASE("an exception that can not be asked for its text costs a worker and not the pool",
          "[pool]") {
  mp::Pool pool(1);
  try {
    pool.map([](int x) { return x == 4 ? throw Treacherous() : x; }, numbers(10));
    FAIL("no exception");
  } catch (mp::WorkerDied const& error) {
    CHECK(error.signal() == SIGABRT);
  }
  CHECK(pool.map(square, numbers(10)) == squares(10));
}

TEST_CASE("of several failures the first in order is thrown, after all items have run", "[pool]") {
  support::Pipe pipe;
  auto const ran = support::PipeElsewhere::of(pipe);
  mp::Pool pool(2);
  CHECK(support::message_of<std::runtime_error>([&] {
          pool.map(
              {.chunksize = 1},
              [ran](int x) {
                ran.tell();
                return x % 4 == 3 ? throw std::runtime_error(std::to_string(x)) : x;
              },
              numbers(20));
        }) == "3");
  pool.close();
  pool.join();
  CHECK(pipe.drain().size() == 20);
}

TEST_CASE("a killed worker is an exception with signal, pid and items, and the pool goes on",
          "[pool]") {
  mp::Pool pool(2);
  for (int round = 0; round < 10; ++round) {
    auto const pids = pool.worker_pids();
    try {
      pool.map(
          {.chunksize = 3}, [](int x) { return x == 4 ? support::kill_self(x) : x; }, numbers(20));
      FAIL("no exception");
    } catch (mp::WorkerDied const& error) {
      CHECK(error.signal() == SIGKILL);
      CHECK(error.exitcode() == -SIGKILL);
      CHECK(error.pid() > 0);
      CHECK_THAT(error.what(), ContainsSubstring("Pool.map, items 3 to 5 of 20: worker process ") &&
                                   ContainsSubstring(std::to_string(error.pid())) &&
                                   ContainsSubstring("was killed by SIGKILL"));
    }
    CHECK(pool.map(square, numbers(20)) == squares(20));
  }
}

TEST_CASE("every way for a task to end its process is an exception", "[pool]") {
  mp::Pool pool(2);
  auto const exitcode = [&](auto const& f) {
    try {
      pool.map({.chunksize = 1}, f, numbers(3));
    } catch (mp::WorkerDied const& error) {
      return error.exitcode();
    }
    return 12345;
  };
  CHECK(exitcode([](int x) { return x == 1 ? (::_exit(0), x) : x; }) == 0);
  CHECK(exitcode([](int x) { return x == 1 ? (::_exit(3), x) : x; }) == 3);
  CHECK(exitcode([](int x) { return x == 1 ? (std::exit(4), x) : x; }) == 4);
  CHECK(exitcode([](int x) { return x == 1 ? (mp::exit(5), x) : x; }) == 5);
  CHECK(exitcode([](int x) {
          if (x == 1) {
            ::close(STDERR_FILENO);
            std::abort();
          }
          return x;
        }) == -SIGABRT);
  CHECK(exitcode([](int x) { return x == 1 ? (::raise(SIGSEGV), x) : x; }) == -SIGSEGV);
  CHECK(pool.map(square, numbers(10)) == squares(10));
}

TEST_CASE("workers killed while idle are replaced, and nobody notices", "[pool]") {
  mp::Pool pool(2);
  for (int round = 0; round < 20; ++round) {
    for (int const pid : pool.worker_pids()) ::kill(pid, SIGKILL);
    try {
      CHECK(pool.map(square, numbers(20)) == squares(20));
    } catch (mp::WorkerDied const&) {  // it had claimed something by then
    }
  }
  for (;;) {  // the storm is over: soon all is well
    try {
      CHECK(pool.map(square, numbers(20)) == squares(20));
      break;
    } catch (mp::WorkerDied const&) {
    }
  }
}

TEST_CASE("many threads map at once, more than there are slots", "[pool]") {
  mp::Pool pool(2);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 80; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        if (t % 10 == 0) {
          try {
            pool.map([](int x) { return x == 1 ? throw std::range_error("") : x; }, numbers(3));
          } catch (std::range_error const&) {
            ++good;
          }
        } else if (pool.map(square, numbers(t)) == squares(t)) {
          ++good;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 400);
}

TEST_CASE("callers that wait for a slot are let go by close, terminate and the nursery's death",
          "[pool]") {
  for (auto const* const way : {"close", "terminate", "nursery"}) {
    INFO(way);
    support::Pipe started;
    support::Pipe go;
    auto const started_there = support::PipeElsewhere::of(started);
    auto const go_there = support::PipeElsewhere::of(go);
    mp::Pool pool(1);
    std::atomic<int> refused{0};
    std::atomic<int> done{0};
    auto const call = [&] {
      try {
        pool.map(
            [=](int) {
              started_there.tell();
              go_there.hear();
            },
            numbers(1));
        ++done;
      } catch (std::exception const&) {
        ++refused;
      }
    };
    constexpr int kCallers = 140;  // 64 have a slot, the others wait for one
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) callers.emplace_back(call);
    started.hear();
    if (*way == 'c') pool.close();
    if (*way == 't') pool.terminate();
    if (*way == 'n') send_to_nursery(SIGKILL);
    for (int i = 0; i < kCallers; ++i) go.tell();
    callers.clear();
    CHECK(done + refused == kCallers);
    CHECK(refused > 0);
  }
}

TEST_CASE("workers have none of the owner's signal handlers, and ignore Ctrl-C", "[pool]") {
  auto* const old = std::signal(SIGUSR2, [](int) {});
  mp::Pool pool(1);
  auto const dispositions = pool.map(
      [](int signal) {
        struct sigaction action;
        ::sigaction(signal, nullptr, &action);
        return action.sa_handler == SIG_DFL ? 'd' : action.sa_handler == SIG_IGN ? 'i' : 'h';
      },
      std::vector{SIGUSR2, SIGINT, SIGTERM});
  std::signal(SIGUSR2, old);
  CHECK(dispositions == std::vector{'d', 'i', 'd'});
}

TEST_CASE("after close there is no more work, and join waits for the end", "[pool]") {
  mp::Pool pool(2);
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { pool.join(); }),
             ContainsSubstring("still running"));
  pool.close();
  pool.close();
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { pool.map(square, numbers(3)); }),
             ContainsSubstring("Pool.map: the pool is closed"));
  CHECK_THROWS_AS(pool.map(square, std::vector<int>{}), std::invalid_argument);
  pool.join();
  pool.join();
  CHECK(pool.worker_pids().empty());
}

TEST_CASE("a join with a timeout says whether all has ended", "[pool]") {
  using namespace std::chrono_literals;
  mp::Pool pool(2);
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { return pool.join_for(1ms); }),
             ContainsSubstring("Pool.join_for: the pool is still running"));
  mp::Event const go;
  auto const result = pool.apply_async([](mp::Event const& event) { event.wait(); }, go);
  pool.close();
  CHECK(!pool.join_for(20ms));
  CHECK(!pool.join_until(std::chrono::steady_clock::now()));
  go.set();
  CHECK(pool.join_for(1h));
  CHECK(pool.join_for(0ms));
  CHECK(result.ready());
}

TEST_CASE("terminate ends running tasks at once, and their callers hear it", "[pool]") {
  support::Pipe started;
  auto const there = support::PipeElsewhere::of(started);
  mp::Pool pool(2);
  std::atomic<int> cancelled{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      try {
        pool.map(
            {.chunksize = 1},
            [there](int x) {
              there.tell();
              for (;;) ::pause();
              return x;
            },
            numbers(10));
      } catch (mp::CancelledError const&) {
        ++cancelled;
      } catch (std::invalid_argument const&) {  // came after the end
        ++cancelled;
      }
    });
  }
  started.hear();
  started.hear();
  pool.terminate();
  for (auto& caller : callers) caller.join();
  CHECK(cancelled == 3);
  pool.terminate();
  pool.join();
  CHECK_THROWS_AS(pool.map(square, numbers(1)), std::invalid_argument);
}

TEST_CASE("a pool that unwinding destroys does not wait for its tasks", "[pool]") {
  support::Pipe started;
  auto const there = support::PipeElsewhere::of(started);
  std::thread caller;
  try {
    mp::Pool pool(1);
    caller = std::thread([&] {
      try {
        pool.map(
            [there](int) {
              there.tell();
              for (;;) ::pause();
            },
            numbers(1));
      } catch (mp::CancelledError const&) {
      }
    });
    started.hear();
    // The caller is inside map, which is an error on its side; but destruction must not hang.
    struct Terminated {
      mp::Pool& pool;
      std::thread& caller;
      ~Terminated() {
        pool.terminate();
        caller.join();
      }
    } const terminated{pool, caller};
    throw std::runtime_error("unwinds");
  } catch (std::runtime_error const&) {
  }
}

TEST_CASE("a pool can be moved, and the one moved from says so", "[pool]") {
  mp::Pool first(1);
  mp::Pool second = std::move(first);
  CHECK(second.map(square, numbers(3)) == squares(3));
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { first.map(square, numbers(3)); }),
             ContainsSubstring("moved from"));
  first = mp::Pool(2);
  CHECK(first.map(square, numbers(3)) == squares(3));
  first = std::move(second);
  CHECK(first.worker_pids().size() == 1);
}

TEST_CASE("a pool is of no use to a child, nor harmed by it", "[pool]") {
  mp::Pool pool(1);
  mp::Process child({.start_method = mp::StartMethod::fork}, [&] {
    try {
      pool.map(square, numbers(3));
    } catch (std::logic_error const&) {
      mp::exit(7);
    }
  });
  child.start();
  child.join();
  CHECK(child.exitcode() == 7);
  CHECK(pool.map(square, numbers(3)) == squares(3));
}

TEST_CASE("pools nest, in processes and in tasks", "[pool]") {
  mp::Pool pool(2);
  auto const sums = pool.map(
      [](int n) {
        mp::Pool inner(2);
        auto const inner_squares = inner.map(square, numbers(n));
        return std::accumulate(inner_squares.begin(), inner_squares.end(), 0);
      },
      std::vector{3, 4});
  CHECK(sums == std::vector{5, 14});
}

TEST_CASE("a worker knows the pool's owner as its parent", "[pool]") {
  mp::Pool pool(1);
  auto const parents = pool.map(
      [](int) {
        auto const parent = mp::parent_process();
        return parent && parent->is_alive() && mp::current_process().daemon()
                   ? static_cast<int>(parent->pid())
                   : 0;
      },
      numbers(1));
  CHECK(parents == std::vector{static_cast<int>(::getpid())});
  auto const names = pool.map([](int) { return mp::current_process().name(); }, numbers(1));
  CHECK_THAT(names[0], ContainsSubstring("PoolWorker-"));
}

TEST_CASE("no process of the user's forks when a worker is replaced", "[pool]") {
  support::RawChild owner([] {
    mp::Pool pool(2);
    support::forbid_forks();
    auto const killed = pool.worker_pids();
    for (int const worker : killed) ::kill(worker, SIGKILL);
    for (;;) {
      try {
        return pool.map(square, numbers(100)) == squares(100) ? 0 : 1;
      } catch (mp::WorkerDied const&) {  // it had claimed an item already
      }
    }
  });
  CHECK(owner.wait() == 0);
}

TEST_CASE("when the owner is killed its whole pool is gone", "[pool]") {
  CHECK(support::all_end_with_their_parent([](support::Pipe& up) {
    static mp::Pool pool(3);
    pool.map([](int) {}, numbers(3));
    up.tell();
  }));
}

TEST_CASE("when the nursery is killed nobody hangs", "[pool]") {
  support::Pipe started;
  auto const there = support::PipeElsewhere::of(started);
  mp::Pool pool(2);
  std::atomic<int> broken{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      try {
        pool.map(
            [there](int) {
              there.tell();
              for (;;) ::pause();
            },
            numbers(1));
      } catch (mp::BrokenProcessPool const&) {
        ++broken;
      }
    });
  }
  started.hear();
  started.hear();
  send_to_nursery(SIGKILL);
  for (auto& caller : callers) caller.join();
  CHECK(broken == 4);
  CHECK_THAT(support::message_of<mp::BrokenProcessPool>([&] { pool.map(square, numbers(3)); }),
             ContainsSubstring("Pool.map: the pool is broken, its nursery process was killed"));
}

TEST_CASE("pools are made while other threads map", "[pool]") {
  // A map looks at the loaded modules, under a lock that a child made at that moment inherits.
  mp::Pool busy(1);
  std::atomic<bool> over{false};
  std::jthread mapper([&] {
    while (!over) busy.map(square, numbers(1));
  });
  for (int i = 0; i < 100; ++i) {
    mp::Pool pool(1);
    REQUIRE(pool.map(square, numbers(3)) == squares(3));
  }
  over = true;
}

TEST_CASE("a task that forks neither doubles its worker nor outlives the pool", "[pool]") {
  support::Pipe alive;  // its last writers are the pool's processes and what they fork
  {
    mp::Pool pool(2);
    for (int round = 0; round < 20; ++round) {
      CHECK_THROWS_AS(
          pool.map([](int x) { return ::fork() != 0 ? (::_exit(0), x) : x; }, numbers(2)),
          mp::WorkerDied);
      CHECK(pool.map({.chunksize = 1}, square, numbers(20)) == squares(20));
      // Here the worker goes on as well, and its copy must not answer for it.
      CHECK(pool.map(
                {.chunksize = 1}, [](int x) { return ::fork() != 0 ? x : -1; }, numbers(4)) ==
            numbers(4));
    }
  }
  CHECK(alive.drain().empty());
}

TEST_CASE("a pool of a program without standard streams is not overwritten", "[pool]") {
  support::RawChild program([] {
    for (int const fd : {0, 1, 2}) ::close(fd);
    mp::Pool pool(2);
    for (int i = 0; i < 10; ++i) {
      auto const greetings = pool.map(
          [](std::string const& name) {
            std::printf("printed into nothing, one hopes\n");
            std::fflush(stdout);
            return support::greet(name);
          },
          std::vector<std::string>{"a", "b"});
      if (greetings != std::vector<std::string>{"hello a", "hello b"}) return 1;
    }
    return 0;
  });
  CHECK(program.wait() == 0);
}

TEST_CASE("a death is told also where the program lets the kernel reap its children", "[pool]") {
  support::RawChild program([] {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    action.sa_flags = SA_NOCLDWAIT;
    ::sigaction(SIGCHLD, &action, nullptr);
    mp::Pool pool(1);
    try {
      pool.map(support::kill_self, numbers(1));
    } catch (mp::WorkerDied const& death) {
      return death.signal() == SIGKILL ? 0 : 1;
    }
    return 2;
  });
  CHECK(program.wait() == 0);
}

TEST_CASE("when the owner becomes another program its pool is gone", "[pool]") {
  support::Pipe alive;
  support::Pipe go;
  support::RawChild owner([&] {
    mp::Pool pool(2);
    pool.map(square, numbers(2));
    ::fcntl(alive.writer.get(), F_SETFD, FD_CLOEXEC);
    ::dup2(go.reader.get(), STDIN_FILENO);
    ::execlp("cat", "cat", nullptr);
    return 1;
  });
  go.reader.reset();
  CHECK(alive.drain().empty());  // returns while the new program still runs
  CHECK(::kill(owner.pid(), 0) == 0);
}

TEST_CASE("a group that is asked to end leaves the owner its pool's helper", "[pool]") {
  support::RawChild owner([] {
    ::setpgid(0, 0);
    std::signal(SIGTERM, [](int) {});
    mp::Pool pool(2);
    pool.map(square, numbers(2));
    ::kill(0, SIGTERM);
    for (;;) {
      try {
        return pool.map(square, numbers(9)) == squares(9) ? 0 : 1;
      } catch (mp::WorkerDied const&) {  // of the same signal
      }
    }
  });
  CHECK(owner.wait() == 0);
}

TEST_CASE("terminate ends a pool whose nursery has been stopped", "[pool]") {
  mp::Pool pool(2);
  send_to_nursery(SIGSTOP);
  pool.terminate();
  CHECK_THROWS(pool.map(square, numbers(1)));
}

TEST_CASE("an idle pool uses no processor time", "[pool]") {
  mp::Pool pool(2);
  pool.map(square, numbers(100));
  CHECK(support::comes_to_rest([] {
    long total = 0;
    for (auto const& process : support::process_group()) {
      total += support::used_time_of(process.pid);
    }
    return total;
  }));
}

TEST_CASE("a pool holds a handful of descriptors, whatever its size", "[pool]") {
  mp::Pool(1).close();  // what the first one needs stays
  auto const before = support::open_fds();
  mp::Pool pool(16);
  CHECK(support::open_fds() <= before + 5);
}

TEST_CASE("a hundred pools one after the other leave nothing", "[pool]") {
  mp::Pool(1).close();
  auto const before = support::open_fds();
  for (int i = 0; i < 100; ++i) {
    mp::Pool pool(2);
    REQUIRE(pool.map(square, numbers(3)) == squares(3));
  }
  CHECK(support::open_fds() == before);
}

TEST_CASE("a pool has as many workers as it is told to, now and later", "[pool]") {
  mp::Pool pool(1);
  auto const has = [&](int workers) { return std::ssize(pool.worker_pids()) == workers; };
  for (int const size : {5, 2, 70, 1}) {  // 64 is where a word of flags ends
    pool.resize(size);
    while (!has(size)) std::this_thread::yield();
    CHECK(pool.map(square, numbers(100)) == squares(100));
    CHECK(pool.apply(square, 7) == 49);
    CHECK(has(size));
  }
}

TEST_CASE("a pool that is made smaller finishes what runs", "[pool]") {
  mp::Pool pool(4);
  std::vector<mp::AsyncResult<int>> results;
  for (int i = 0; i < 1000; ++i) {
    results.push_back(pool.apply_async(square, i));
    if (i % 100 == 0) pool.resize(1 + i / 100 % 4);
  }
  for (int i = 0; i < 1000; ++i) CHECK(results[static_cast<std::size_t>(i)].get() == i * i);
}

TEST_CASE("a pool is not resized to nothing, nor when it is closed", "[pool]") {
  mp::Pool pool(1);
  CHECK(support::message_of<std::invalid_argument>([&] { pool.resize(0); }) ==
        "Pool.resize: processes must be 1 to 1024, not 0");
  CHECK_THROWS_AS(pool.resize(1025), std::invalid_argument);
  pool.close();
  CHECK(support::message_of<std::invalid_argument>([&] { pool.resize(2); }) ==
        "Pool.resize: the pool is closed");
}

}  // namespace pool_test
