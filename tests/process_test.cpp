// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/process.hpp>

#include <poll.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/start_method.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"

namespace process_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

void wait_for_ever() {
  for (;;) ::pause();
}
void wait_for(mp::Event const& event) { event.wait(); }

/// For children that use what is their parent's.
mp::ProcessOptions forked() { return {.start_method = mp::StartMethod::fork}; }

template <class F, class... Args>
int exitcode_of(F&& f, Args&&... args) {
  mp::Process process(std::forward<F>(f), std::forward<Args>(args)...);
  process.start();
  process.join();
  return process.exitcode().value();
}

std::string shown(mp::Process const& process) {
  std::ostringstream out;
  out << process;
  return out.str();
}

}  // namespace

TEST_CASE("the main process is current, alive, no daemon, and without a parent", "[process]") {
  auto const self = mp::current_process();
  CHECK(self.pid() == ::getpid());
  CHECK(self.name() == "MainProcess");
  CHECK(self.is_alive());
  CHECK_FALSE(self.daemon());
  CHECK_FALSE(self.exitcode());
  CHECK_FALSE(mp::parent_process());
}

TEST_CASE("a process goes from initial over started to stopped", "[process]") {
  mp::Event const go;
  mp::Process process({.name = "W1"}, wait_for, go);
  CHECK_FALSE(process.pid());
  CHECK_FALSE(process.exitcode());
  CHECK_FALSE(process.is_alive());
  CHECK(mp::active_children().empty());
  CHECK(shown(process) == "<Process name='W1' initial>");

  process.start();
  auto const pid = process.pid().value();
  CHECK(process.is_alive());
  CHECK_FALSE(process.exitcode());
  CHECK(mp::active_children().size() == 1);
  CHECK_THAT(shown(process), ContainsSubstring("started pid=" + std::to_string(pid)));

  go.set();
  process.join();
  process.join();
  CHECK(process.exitcode() == 0);
  CHECK_FALSE(process.is_alive());
  CHECK(process.pid() == pid);
  CHECK(mp::active_children().empty());
  CHECK_THAT(shown(process), ContainsSubstring("stopped") && ContainsSubstring("code 0"));
}

TEST_CASE("arguments and name arrive, and the child knows who it is", "[process]") {
  auto const body = [](int number, std::string const& text, std::unique_ptr<int> owned,
                       pid_t main_pid) {
    auto const self = mp::current_process();
    auto const parent = mp::parent_process();
    bool const right = number == 1 && text == "x" && *owned == 7 && self.name() == "W2" &&
                       self.daemon() && self.pid() == ::getpid() && parent &&
                       parent->pid() == main_pid && parent->name() == "MainProcess" &&
                       parent->is_alive();
    mp::exit(right ? 7 : 1);
  };
  mp::Process process({.name = "W2", .daemon = true}, body, 1, std::string("x"),
                      std::make_unique<int>(7), ::getpid());
  CHECK(process.daemon());
  process.start();
  process.join();
  CHECK(process.exitcode() == 7);
}

TEST_CASE("arguments are copies that belong to the child alone", "[process]") {
  auto const shared = std::make_shared<int>(1);
  mp::Process process([](std::shared_ptr<int> const& p) { ++*p; }, shared);
  CHECK(shared.use_count() == 2);
  process.start();
  CHECK(shared.use_count() == 1);  // dropped as soon as it runs
  process.join();
  CHECK(*shared == 1);
}

TEST_CASE("every way to end has its exit code", "[process]") {
  CHECK(exitcode_of([] {}) == 0);
  CHECK(exitcode_of([] { return 5; }) == 0);  // a result is no exit code
  CHECK(exitcode_of([] { mp::exit(0); }) == 0);
  CHECK(exitcode_of([] { mp::exit(8); }) == 8);
  CHECK(exitcode_of([] { mp::exit(300); }) == 44);
  CHECK(exitcode_of([] { std::exit(9); }) == 9);
  CHECK(exitcode_of([] { ::_exit(10); }) == 10);
  CHECK(exitcode_of([] { ::raise(SIGKILL); }) == -SIGKILL);
  CHECK(exitcode_of([] { ::raise(SIGTERM); }) == -SIGTERM);
  CHECK(exitcode_of([] {
          ::close(STDERR_FILENO);
          std::abort();
        }) == -SIGABRT);
}

TEST_CASE("an uncaught exception is exit code 1 and a line on stderr", "[process]") {
  auto const [text, status] = support::stderr_of([] {
    mp::Process process({.name = "Thrower"}, [] { throw std::range_error("too far"); });
    process.start();
    process.join();
    return process.exitcode().value();
  });
  CHECK(WEXITSTATUS(status) == 1);
  CHECK_THAT(text, ContainsSubstring("Process Thrower (pid ") &&
                       ContainsSubstring("): uncaught std::range_error: too far\n"));
}

TEST_CASE("terminate and kill end a process, and do nothing afterwards", "[process]") {
  for (bool const hard : {false, true}) {
    mp::Process process(wait_for_ever);
    process.start();
    CHECK_FALSE(process.join_for(0s));
    CHECK_FALSE(process.join_for(-1s));
    CHECK_FALSE(process.join_until(std::chrono::steady_clock::now() + 5ms));
    hard ? process.kill() : process.terminate();
    CHECK(process.join_for(1h));
    CHECK(process.exitcode() == (hard ? -SIGKILL : -SIGTERM));
    CHECK(process.exit_status()->signal() == (hard ? SIGKILL : SIGTERM));
    process.terminate();
    process.kill();
  }
}

TEST_CASE("the sentinel becomes readable at the end", "[process]") {
  mp::Event const go;
  mp::Process process(wait_for, go);
  CHECK_THAT(support::message_of<std::logic_error>([&] { process.sentinel(); }),
             ContainsSubstring("has not been started"));
  process.start();
  pollfd entry{process.sentinel(), POLLIN, 0};
  CHECK(::poll(&entry, 1, 0) == 0);
  go.set();
  CHECK(::poll(&entry, 1, -1) == 1);
  CHECK(process.exitcode() == 0);
  process.close();
}

TEST_CASE("a closed process refuses everything but another close", "[process]") {
  mp::Process process(wait_for_ever);
  process.start();
  CHECK_THAT(support::message_of<std::invalid_argument>([&] { process.close(); }),
             ContainsSubstring("still running"));
  process.kill();
  process.join();
  auto const before = support::open_fds();
  process.close();
  CHECK(support::open_fds() < before);
  process.close();
  auto const refused = [](auto const& call) {
    return support::message_of<std::invalid_argument>(call).find("closed") != std::string::npos;
  };
  CHECK(refused([&] { process.join(); }));
  CHECK(refused([&] { static_cast<void>(process.join_for(1s)); }));
  CHECK(refused([&] { process.is_alive(); }));
  CHECK(refused([&] { process.exitcode(); }));
  CHECK(refused([&] { process.pid(); }));
  CHECK(refused([&] { process.name(); }));
  CHECK(refused([&] { process.start(); }));
  CHECK(refused([&] { process.terminate(); }));
  CHECK(refused([&] { process.kill(); }));
  CHECK(refused([&] { process.sentinel(); }));
  CHECK_THAT(shown(process), ContainsSubstring("closed"));
}

TEST_CASE("misuse is refused with a sentence", "[process]") {
  auto const refusal = [](auto const& call) { return support::message_of<std::logic_error>(call); };
  mp::Process process([] {});
  CHECK_THAT(refusal([&] { process.join(); }), ContainsSubstring("has not been started"));
  CHECK_THAT(refusal([&] { process.terminate(); }), ContainsSubstring("has not been started"));
  process.start();
  CHECK_THAT(refusal([&] { process.start(); }), ContainsSubstring("twice"));
  process.join();
  CHECK_THAT(refusal([&] { process.start(); }), ContainsSubstring("twice"));
  CHECK_THAT(refusal([&] { mp::current_process().join(); }), ContainsSubstring("current process"));
  auto moved = std::move(process);
  CHECK_THAT(refusal([&] { process.join(); }), ContainsSubstring("moved from"));
  CHECK_THAT(refusal([&] { process.start(); }), ContainsSubstring("moved from"));
}

TEST_CASE("a child can not join or start what is its parent's", "[process]") {
  mp::Process sibling(wait_for_ever);
  sibling.start();
  mp::Process unstarted([] {});
  auto const code = exitcode_of(forked(), [&] {
    auto const text = support::message_of<std::logic_error>([&] { sibling.join(); });
    if (text.find("not a child of this process") == std::string::npos) mp::exit(2);
    auto const other = support::message_of<std::logic_error>([&] { unstarted.start(); });
    if (other.find("of this process") == std::string::npos) mp::exit(3);
  });
  CHECK(code == 0);
  sibling.kill();
  sibling.join();
}

TEST_CASE("daemon is inherited unless said otherwise", "[process]") {
  CHECK_FALSE(mp::Process([] {}).daemon());
  mp::Process parent({.daemon = true}, [] {
    bool const inherited = mp::Process([] {}).daemon();
    bool const overridden = !mp::Process({.daemon = false}, [] {}).daemon();
    mp::exit(inherited && overridden ? 0 : 1);
  });
  parent.start();
  parent.join();
  CHECK(parent.exitcode() == 0);
}

namespace {
void branch(mp::Queue<int> const& depths, int depth) {
  depths.put(depth);
  if (depth == 2) return;
  for (int i = 0; i < 2; ++i) {
    if (exitcode_of(branch, depths, depth + 1) != 0) mp::exit(1);
  }
}
}  // namespace

TEST_CASE("children have children, each joined by its parent", "[process]") {
  mp::Queue<int> const depths;
  CHECK(exitcode_of(branch, depths, 0) == 0);
  depths.shutdown();
  std::vector<int> found;
  for (int const depth : depths) found.push_back(depth);
  CHECK(found == std::vector{0, 1, 2, 2, 1, 2, 2});
}

TEST_CASE("a hundred processes at once all end well, and leave nothing", "[process]") {
  CHECK(exitcode_of([] {}) == 0);  // what the first one needs stays
  auto const before = support::open_fds();
  std::vector<mp::Process> processes;
  for (int i = 0; i < 100; ++i) processes.emplace_back([] {});
  for (auto& process : processes) process.start();
  for (auto& process : processes) {
    process.join();
    CHECK(process.exitcode() == 0);
  }
  processes.clear();
  CHECK(support::open_fds() == before);
}

TEST_CASE("any number of threads may join at once, and all see the exit code", "[process]") {
  for (int round = 0; round < 20; ++round) {
    mp::Event const go;
    mp::Process process(
        [](mp::Event const& told) {
          told.wait();
          mp::exit(3);
        },
        go);
    process.start();
    std::atomic<int> seen{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        process.join();
        if (process.exitcode() == 3) ++seen;
      });
    }
    go.set();
    for (auto& thread : threads) thread.join();
    CHECK(seen == 4);
  }
}

TEST_CASE("processes are started from many threads at once", "[process]") {
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 5; ++j) {
        if (exitcode_of([=] { mp::exit(i); }) == i) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 40);
}

TEST_CASE("a signal that is handled during a join does not end it", "[process]") {
  static std::atomic<int> handled;
  handled = 0;
  struct sigaction action {};
  struct sigaction old;
  action.sa_handler = [](int) { ++handled; };
  ::sigaction(SIGUSR1, &action, &old);  // without SA_RESTART
  pid_t const parent = ::getpid();
  mp::Process process([=] {
    for (int i = 0; i < 50; ++i) {
      ::kill(parent, SIGUSR1);
      std::this_thread::yield();
    }
  });
  process.start();
  process.join();
  CHECK(process.exitcode() == 0);
  CHECK(handled > 0);
  ::sigaction(SIGUSR1, &old, nullptr);
}

TEST_CASE("a child starts with empty input", "[process]") {
  CHECK(exitcode_of([] {
          char byte;
          mp::exit(::read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1);
        }) == 0);
}

TEST_CASE("a child that looks at its own handle is told off, not locked up", "[process]") {
  std::unique_ptr<mp::Process> process;
  process = std::make_unique<mp::Process>(forked(), [&] {
    auto const refused = [](auto const& call) {
      auto const text = support::message_of<std::logic_error>(call);
      return text.find("not a child of this process") != std::string::npos;
    };
    bool const all = refused([&] { process->pid(); }) && refused([&] { process->is_alive(); }) &&
                     refused([&] { process->join(); }) && refused([&] { process->close(); }) &&
                     refused([&] { process->kill(); });
    bool const printed = shown(*process).find("unknown") != std::string::npos;
    mp::exit(all && printed ? 0 : 1);
  });
  process->start();
  process->join();
  CHECK(process->exitcode() == 0);
}

TEST_CASE("a child can wait for its parent's death", "[process]") {
  mp::Queue<std::string> const found;
  support::RawChild parent([&] {
    mp::Process child(
        [](mp::Queue<std::string> const& queue) {
          auto const who = mp::parent_process();
          queue.put(who->is_alive() && !who->join_for(0s) ? "alive" : "?");
          who->join();
          queue.put(who->is_alive() || !mp::parent_process()->join_for(0s) ? "?" : "dead");
        },
        found);
    child.start();
    for (;;) ::pause();
    return 0;
  });
  CHECK(found.get() == "alive");
  parent.kill();
  parent.wait();
  CHECK(found.get() == "dead");
}

TEST_CASE("a status that somebody else took is not passed off as success", "[process]") {
  for (auto const method : {mp::StartMethod::fork, mp::StartMethod::spawn}) {  // who are children
    mp::Process process({.start_method = method}, [] {});
    process.start();
    ::waitpid(process.pid().value(), nullptr, 0);
    process.join();
    CHECK(process.exit_status()->unknown());
    CHECK(process.exitcode() == 255);
  }
}

TEST_CASE("a program that ignores SIGCHLD starts and joins, and knows no exit codes", "[process]") {
  support::RawChild program([] {
    std::signal(SIGCHLD, SIG_IGN);
    auto const method = mp::get_start_method();
    bool const has_server = method == mp::StartMethod::forkserver;
    for (int i = 0; i < (method == mp::StartMethod::fork ? 200 : 20); ++i) {
      mp::Process process([] {});
      process.start();
      process.join();
      if (process.exit_status()->unknown() == has_server)
        return 1;  // the server does not ignore it
    }
    return 0;
  });
  CHECK(program.wait() == 0);
}

TEST_CASE("a process that has no descriptor left starts once, and is joined", "[process]") {
  if (support::kSanitized) return;  // its checks of virtual calls need descriptors themselves
  support::Pipe ran;
  support::RawChild program([&] {
    rlimit const none{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &none);
    for (int i = 0; i < 20; ++i) {
      mp::Process process(forked(), [&] { ran.tell(); });
      process.start();
      process.join();
      if (process.exitcode() != 0) return 1;
    }
    return 0;
  });
  CHECK(program.wait() == 0);
  CHECK(ran.drain().size() == 20);
}

TEST_CASE("a program without standard streams has children with empty input", "[process]") {
  support::RawChild program([] {
    for (int const fd : {0, 1, 2}) ::close(fd);
    return exitcode_of([] {
      char byte;
      mp::exit(::read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1);
    });
  });
  CHECK(program.wait() == 0);
}

TEST_CASE("the machine has processors", "[process]") { CHECK(mp::cpu_count() >= 1); }

namespace {
struct Upper : mp::Process {
  explicit Upper(support::Pipe& where) : Process(forked()), out(&where) {}
  void run() override { out->tell('U'); }
  support::Pipe* out;
};
}  // namespace

TEST_CASE("a class of its own says what its processes do", "[process]") {
  support::Pipe out;
  Upper process(out);
  process.start();
  process.join();
  CHECK(out.drain() == "U");
  CHECK(process.exitcode() == 0);
}

TEST_CASE("a class of its own can be forked only", "[process]") {
  struct Spawned : mp::Process {
    Spawned() : Process({.start_method = mp::StartMethod::spawn}) {}
    void run() override {}
  };
  Spawned process;
  CHECK_THROWS_AS(process.start(), mp::TypeError);
}

TEST_CASE("an interrupt is what Ctrl-C sends", "[process]") {
  mp::Process process(&wait_for_ever);
  process.start();
  support::wait_until_asleep(*process.pid());
  process.interrupt();
  process.join();
  CHECK(process.exitcode() == -SIGINT);
}

}  // namespace process_test
