// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/start_method.hpp>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/channel.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/fd.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/pipe.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/start_methods.hpp"
#include "support/temporary_directory.hpp"

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace start_method_test {

using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

void launch_server_stopped() { mp::launch::ForkServer::of_this_process().stop(); }

// Made anew in a process that is not forked, there before main().
mp::Queue<int>& of_the_program() {
  static auto* const queue = new mp::Queue<int>;
  return *queue;
}
std::size_t const made_before_main = mp::os::handoff() ? of_the_program().qsize() : 0;

TEST_CASE("the start method is set once, or by force", "[start_method]") {
  auto const before = mp::get_start_method();
  CHECK(before == mp::StartMethod::fork);
  CHECK_THROWS_AS(mp::set_start_method(mp::StartMethod::spawn), mp::Error);
  mp::set_start_method({.force = true}, mp::StartMethod::spawn);
  CHECK(mp::get_start_method() == mp::StartMethod::spawn);
  mp::Queue<int> queue;
  mp::Process process(
      [](mp::Queue<int> answers) {
        answers.put(static_cast<int>(mp::get_start_method()));
        mp::Process child([](mp::Queue<int> more) { more.put(::getppid()); }, answers);
        child.start();
        child.join();
        answers.put(::getpid());
      },
      queue);
  process.start();
  process.join();
  CHECK(queue.get() == static_cast<int>(mp::StartMethod::spawn));
  CHECK(queue.get() == queue.get());
  mp::set_start_method({.force = true}, before);
  CHECK_THROWS_AS(mp::set_executable(""), std::invalid_argument);
  CHECK(mp::get_all_start_methods().front() == mp::StartMethod::fork);
}

TEMPLATE_TEST_CASE("every shared object is an argument", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  mp::Lock lock;
  mp::RLock rlock;
  mp::Semaphore semaphore(2);
  mp::Event event;
  mp::Condition condition;
  mp::Barrier barrier(1);
  mp::Value<int> value(1);
  mp::Array<double> array(3);
  mp::Queue<std::string> queue;
  mp::JoinableQueue<int> joinable;
  auto ends = mp::Channel<int>();
  auto const touch = [](mp::Lock a, mp::RLock b, mp::Semaphore c, mp::Event d, mp::Condition e,
                        mp::Barrier f, mp::Value<int> g, mp::Array<double> h,
                        mp::Queue<std::string> i, mp::JoinableQueue<int> j, mp::Sender<int> k) {
    a.acquire();
    a.release();
    b.acquire();
    b.release();
    c.acquire();
    e.acquire();
    e.notify_all();
    e.release();
    f.wait();
    *g.lock() += 1;
    h[1] = 2.5;
    i.put("text");
    j.put(3);
    k.put(4);
    d.set();
  };
  auto process = TestType::started(touch, lock, rlock, semaphore, event, condition, barrier, value,
                                   array, queue, joinable, std::move(ends.first));
  event.wait();
  process.join();
  CHECK(process.exitcode() == 0);
  CHECK(value.value() == 2);
  CHECK(array[1] == 2.5);
  CHECK(queue.get() == "text");
  CHECK(joinable.get() == 3);
  CHECK(ends.second.get() == 4);
  CHECK_THROWS_AS(ends.second.get(), mp::EOFError);
  CHECK(semaphore.try_acquire());
}

TEMPLATE_TEST_CASE("an end that is moved there is the child's alone", "[start_method]", ByFork,
                   BySpawn, ByForkServer) {
  auto ends = mp::Pipe<std::string>();
  auto process = TestType::started(
      [](mp::Connection<std::string> end) {
        end.send("from " + mp::current_process().name() + " to " + mp::parent_process()->name() +
                 ": " + end.recv());
      },
      std::move(ends.second));
  ends.first.send("hello");
  CHECK(ends.first.recv() == "from " + process.name() + " to MainProcess: hello");
  CHECK_THROWS_AS(ends.first.recv(), mp::EOFError);
  process.join();
}

TEMPLATE_TEST_CASE("it ends as it was told to", "[start_method]", ByFork, BySpawn, ByForkServer) {
  CHECK(TestType::run([] {}).exitcode() == 0);
  CHECK(TestType::run([] { mp::exit(3); }).exitcode() == 3);
  CHECK(TestType::run([] { std::exit(4); }).exitcode() == 4);
  CHECK(TestType::run([] { std::raise(SIGKILL); }).signal() == SIGKILL);
  auto const [said, status] = support::stderr_of(
      [] { return TestType::run([] { throw std::runtime_error("boom"); }).exitcode(); });
  CHECK(said.find("uncaught std::runtime_error: boom") != std::string::npos);
  CHECK(WEXITSTATUS(status) == 1);
}

TEMPLATE_TEST_CASE("its parent's death shows there", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  mp::Queue<bool> alive;
  mp::Event go;
  support::RawChild parent([&] {
    auto process = TestType::started(
        [](mp::Queue<bool> answers, mp::Event event) {
          auto const parent_process = mp::parent_process();
          answers.put(parent_process->is_alive());
          event.set();
          parent_process->join();
          answers.put(parent_process->is_alive());
        },
        alive, go);
    ::pause();
  });
  go.wait();
  CHECK(alive.get());
  parent.kill();
  CHECK_FALSE(alive.get());
  parent.wait();
}

TEMPLATE_TEST_CASE("it is as its options say before it begins", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  mp::Queue<std::string> found;
  auto options = TestType::options();
  options.name = "W1";
  options.cpus = {0};
  options.nice = 7;
  options.rlimits = {{RLIMIT_NOFILE, 400, 500}};
  options.env = {{"MULTIPROCESSING_TEST_GREETING", "hello"}};
  options.cwd = "/usr";
  options.process_group = true;
  mp::Process process(
      options,
      [](mp::Queue<std::string> queue) {
        cpu_set_t cpus;
        ::sched_getaffinity(0, sizeof cpus, &cpus);
        queue.put(std::to_string(CPU_COUNT(&cpus)));
        queue.put(std::to_string(::getpriority(PRIO_PROCESS, 0)));
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        queue.put(std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max));
        queue.put(std::getenv("MULTIPROCESSING_TEST_GREETING"));
        queue.put(std::filesystem::current_path());
        queue.put(::getpgid(0) == ::getpid() ? "leads" : "follows");
        char name[16] = {};
        ::prctl(PR_GET_NAME, name);
        queue.put(name);
      },
      found);
  process.start();
  process.join();
  for (auto const* const expected : {"1", "7", "400 500", "hello", "/usr", "leads", "W1"}) {
    CHECK(found.get() == expected);
  }
}

TEMPLATE_TEST_CASE("it has none of its parent's signal handlers, and Ctrl-C does as it was told",
                   "[start_method]", ByFork, BySpawn, ByForkServer) {
  auto const dispositions = [] {
    auto const is = [](int signal, auto disposition) {
      struct sigaction action {};
      ::sigaction(signal, nullptr, &action);
      return action.sa_handler == disposition;
    };
    sigset_t blocked;
    ::sigprocmask(SIG_BLOCK, nullptr, &blocked);
    bool const is_clean = is(SIGUSR1, SIG_DFL) && is(SIGCHLD, SIG_DFL) && is(SIGTERM, SIG_DFL) &&
                          sigismember(&blocked, SIGUSR2) == 0;
    mp::exit(!is_clean ? 1 : is(SIGINT, SIG_IGN) ? 2 : is(SIGINT, SIG_DFL) ? 3 : 4);
  };
  support::RawChild parent([&] {
    for (int const signal : {SIGUSR1, SIGINT, SIGCHLD}) std::signal(signal, [](int) {});
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    int codes = 0;
    for (auto const policy : {mp::SigintPolicy::ignore, mp::SigintPolicy::terminate}) {
      auto options = TestType::options();
      options.sigint = policy;
      mp::Process process(options, dispositions);
      process.start();
      process.join();
      codes = codes * 10 + process.exitcode().value();
    }
    launch_server_stopped();
    return codes;
  });
  CHECK(WEXITSTATUS(parent.wait()) == 23);
}

TEMPLATE_TEST_CASE("it ends with all that it has started", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  auto [receiver, sender] = mp::Pipe<int>(mp::one_way);
  auto process = TestType::started(
      [](mp::Connection<int, void> out) {
        std::vector<mp::Process> children;
        for (int i = 0; i < 2; ++i) {
          children.emplace_back(
              [](mp::Connection<int, void> end) {
                end.send(1);
                for (;;) ::pause();
              },
              out);
          children.back().start();
        }
        for (;;) ::pause();
      },
      std::move(sender));
  CHECK(receiver.recv() == 1);
  CHECK(receiver.recv() == 1);
  process.kill_tree();
  process.join();
  CHECK(process.exitcode() == -SIGKILL);
  CHECK_THROWS_AS(receiver.recv(), mp::EOFError);  // nobody has the other end any more
  process.kill_tree();                             // nothing to do
}

TEMPLATE_TEST_CASE("what it used is told with its end", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  constexpr std::size_t kBytes = 64 << 20;
  auto const status = TestType::run([] {
    std::vector<char> touched(kBytes);
    for (char volatile& byte : touched) byte = 'x';  // volatile, or compilers leave it all out
    auto const begin = std::clock();
    while (std::clock() - begin < CLOCKS_PER_SEC / 50) {
    }
    return touched.back();
  });
  CHECK(status.usage().peak_memory >= kBytes);
  CHECK(status.usage().user_time + status.usage().system_time >= 20ms);
}

TEMPLATE_TEST_CASE("its streams lead where they were told", "[start_method]", ByFork, BySpawn,
                   ByForkServer) {
  support::TemporaryDirectory const files;
  auto const said = files.write("said", "what was there before, and is longer");
  auto options = TestType::options();
  options.stdin = mp::Stream::pipe();
  options.stdout = mp::Stream::pipe();
  options.stderr = mp::Stream::file(said);
  mp::Process process(options, [] {
    std::string line;
    while (std::getline(std::cin, line)) std::cout << "<" << line << ">";
    std::cerr << "done";
  });
  CHECK_THROWS_AS(process.stdin_pipe(), std::logic_error);
  process.start();
  auto other = TestType::started([] {});  // keeps none of the ends
  CHECK(::write(process.stdin_pipe(), "a\nb\n", 4) == 4);
  ::dup2(process.stdout_pipe(), process.stdin_pipe());  // the end of its input
  std::string text;
  char buffer[100];
  for (ssize_t size = 0; (size = ::read(process.stdout_pipe(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  CHECK(text == "<a><b>");
  process.join();
  other.join();
  CHECK(files.read("said") == "done");
  CHECK_THROWS_AS(process.stderr_pipe(), std::logic_error);
}

TEMPLATE_TEST_CASE("what its options can not do is told by start", "[start_method]", ByFork,
                   BySpawn, ByForkServer) {
  auto const fds = support::open_fds();
  auto const refused = [](auto const& change) {
    auto options = TestType::options();
    change(options);
    mp::Process process(options, [] {});
    try {
      process.start();
    } catch (std::exception const& error) {
      CHECK_FALSE(process.pid());
      return std::string(error.what());
    }
    return std::string("started");
  };
  CHECK_THAT(refused([](auto& o) { o.cwd = "/nowhere"; }), ContainsSubstring("chdir(/nowhere)"));
  CHECK_THAT(refused([](auto& o) { o.cpus = {-1}; }), ContainsSubstring("sched_setaffinity(-1)"));
  CHECK_THAT(refused([](auto& o) { o.env = {{"", "x"}}; }), ContainsSubstring("setenv"));
  CHECK_THAT(refused([](auto& o) { o.stdout = mp::Stream::file("/nowhere/x"); }),
             ContainsSubstring("open(/nowhere/x)"));
  launch_server_stopped();
  CHECK(support::open_fds() == fds);
  auto cut_off = TestType::options();
  cut_off.env = {{std::string("A\0B", 3), "x"}};
  CHECK_THROWS_AS(mp::Process(cut_off, [] {}), std::invalid_argument);
}

TEMPLATE_TEST_CASE(
    "daemons end with their parent, however and whoever started them, and others "
    "go on",
    "[start_method]", ByFork, BySpawn, ByForkServer) {
  bool const by_thread = GENERATE(false, true);
  auto const* const way = GENERATE("is killed", "exits", "becomes another program");
  INFO("the parent " << way);
  mp::Queue<pid_t> pids;
  mp::Event go;
  support::Pipe over;
  support::RawChild parent([&] {
    auto const start_both = [&] {
      for (bool const is_daemon : {true, false}) {
        auto options = TestType::options();
        options.daemon = is_daemon;
        mp::Process process(
            options,
            [](mp::Queue<pid_t> queue, mp::Event event) {
              queue.put(::getpid());
              event.wait();
            },
            pids, go);
        process.start();
      }
    };
    if (by_thread) {
      std::thread(start_both).join();
    } else {
      start_both();
    }
    pids.put(0);
    over.hear();
    if (*way == 'e') ::_exit(0);
    if (*way == 'b') ::execl("/bin/sleep", "sleep", "1000", nullptr);
    ::pause();
  });
  std::vector<pid_t> found;
  for (int i = 0; i < 3; ++i) {
    if (auto const pid = pids.get(); pid != 0) found.push_back(pid);
  }
  std::vector<mp::os::Fd> fds;
  for (auto const pid : found) fds.push_back(mp::os::open_pidfd(pid));
  if (*way == 'i') parent.kill();
  over.tell();
  int ended = 0;
  while (ended == 0) {
    for (auto const& fd : fds) {
      ended += mp::os::poll_readable(fd.get(), mp::base::Deadline::after(10ms)) ? 1 : 0;
    }
  }
  CHECK(ended == 1);
  parent.kill();
  parent.wait();
  go.set();
  for (auto const& fd : fds) {
    CHECK(mp::os::poll_readable(fd.get(), mp::base::Deadline::never()));
  }
}

TEST_CASE("what the program itself shares is there, but another", "[start_method]") {
  of_the_program().put(1);
  mp::Queue<std::size_t> queue;
  auto process = BySpawn::started(
      [](mp::Queue<std::size_t> sizes) {
        sizes.put(of_the_program().qsize());
        of_the_program().put(2);
        auto child = ByFork::started(
            [](mp::Queue<std::size_t> more) { more.put(of_the_program().qsize()); }, sizes);
        child.join();
      },
      queue);
  CHECK(queue.get() == 0);
  CHECK(queue.get() == 1);
  process.join();
  CHECK(of_the_program().get() == 1);
}

TEST_CASE("what can not be sent is refused by start, and can be forked", "[start_method]") {
  int number = 0;
  mp::Process process({.start_method = mp::StartMethod::spawn}, [&number] { ++number; });
  CHECK_THROWS_AS(process.start(), mp::TypeError);
  CHECK_FALSE(process.pid());
  CHECK(ByFork::run([&number] { ++number; }).exitcode() == 0);
}

TEMPLATE_TEST_CASE("a file goes along", "[start_method]", BySpawn, ByForkServer) {
  support::Pipe pipe;
  CHECK(TestType::run(
            [](mp::Fd fd) {
              if (::write(fd.get(), "x", 1) != 1) mp::exit(1);
            },
            mp::Fd::duplicate(pipe.writer.get()))
            .exitcode() == 0);
  CHECK(pipe.hear() == 'x');
}

TEMPLATE_TEST_CASE("many threads start processes at once", "[start_method]", BySpawn,
                   ByForkServer) {
  mp::Value<int> count(0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) TestType::run([](mp::Value<int> n) { *n.lock() += 1; }, count);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(count.value() == 20);
}

TEMPLATE_TEST_CASE("the hundredth process has no more descriptors than the first", "[start_method]",
                   BySpawn, ByForkServer) {
  mp::Queue<std::size_t> counts;
  auto const run = [&] {
    TestType::run([](mp::Queue<std::size_t> queue) { queue.put(support::open_fds()); }, counts);
    return counts.get();
  };
  auto const first = run();
  for (int i = 0; i < 98; ++i) run();
  CHECK(run() == first);
}

}  // namespace start_method_test
