// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/logging.hpp>

#include <atomic>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace logging_test {

namespace mp = multiprocessing;
namespace launch = multiprocessing::launch;

namespace {

/// Shows the records that it is given.
class Shown final : public mp::LogHandler {
 public:
  void handle(mp::LogRecord const& record) override {
    text += mp::format_record(record) + "\n";
    last = record;
  }
  std::string text;
  mp::LogRecord last;
};

/// What `body` and its children write to stderr.
template <class Body>
std::string stderr_of(Body const& body) {
  auto const [text, status] = support::stderr_of([&] {
    body();
    return 0;
  });
  CHECK(status == 0);
  return text;
}

template <class F, class... Args>
void run(mp::ProcessOptions options, F const& f, Args const&... args) {
  mp::Process process(std::move(options), f, args...);
  process.start();
  process.join();
}

/// A process that is forked: with its parent's handlers.
mp::ProcessOptions inheritor(std::string name) {
  return {.name = std::move(name), .start_method = mp::StartMethod::fork};
}

/// With pids as #, and without what the fork server says of itself.
std::string told(std::string const& text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("[DEBUG/ForkServer]")) continue;
    for (std::size_t at = 0; (at = line.find("pid ", at)) != std::string::npos; ++at) {
      auto const end = line.find_first_not_of("0123456789", at + 4);
      line.replace(at + 4, end - at - 4, "#");
    }
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

TEST_CASE("lines have level, process and text", "[logging]") {
  auto const text = stderr_of([] {
    auto& logger = mp::log_to_stderr(mp::LogLevel::info);
    logger.warning("doomed");
    logger.debug("not shown");
    run({.name = "W1"}, [] { mp::get_logger().info("from the child"); });
  });
  CHECK(text == "[WARNING/MainProcess] doomed\n[INFO/W1] from the child\n");
}

TEST_CASE("a second log_to_stderr doubles nothing, and sets the level if it says one",
          "[logging]") {
  auto const text = stderr_of([] {
    auto& logger = mp::log_to_stderr(mp::LogLevel::info);
    if (&mp::log_to_stderr() != &logger || &logger != &mp::get_logger()) return;
    logger.info("one");
    mp::log_to_stderr(mp::LogLevel::error).warning("none");
    logger.error("two");
  });
  CHECK(text == "[INFO/MainProcess] one\n[ERROR/MainProcess] two\n");
}

TEST_CASE("children inherit the level, and what they set is theirs", "[logging]") {
  auto const text = stderr_of([] {
    mp::log_to_stderr(mp::LogLevel::error);
    run({.name = "A"}, [] {
      auto& logger = mp::get_logger();
      logger.warning("no");
      logger.set_level(mp::LogLevel::warning);
      run({.name = "B"}, [] { mp::get_logger().warning("grandchild"); });
    });
    mp::get_logger().warning("no");
    mp::Pool pool(1);
    pool.map([](int) { mp::get_logger().error("worker"); }, std::vector{1});
  });
  CHECK(text == "[WARNING/B] grandchild\n[ERROR/PoolWorker-1] worker\n");
}

TEST_CASE("debug tells the life of every process", "[logging]") {
  auto const text = stderr_of([] {
    mp::log_to_stderr(mp::LogLevel::debug);
    mp::Event const go;
    mp::Process process(
        {.name = "W1"},
        [](mp::Event const& told) {
          told.wait();
          mp::exit(3);
        },
        go);
    process.start();
    go.set();
    process.join();
    process.join();
    static_cast<void>(process.exitcode());
  });
  auto const shown = told(text);
  auto const ended =
      "[DEBUG/W1] process ending with exit code 3\n"
      "[DEBUG/MainProcess] process W1 (pid #) ended: exited with code 3\n";
  CHECK(shown.ends_with(ended));
  // The first two are those of different processes, at the same time.
  CHECK_THAT(shown, ContainsSubstring("[DEBUG/MainProcess] process W1 (pid #) started\n") &&
                        ContainsSubstring("[DEBUG/W1] process started\n"));
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 4);
}

TEST_CASE("debug tells of a death that a dropped handle did not see", "[logging]") {
  auto const text = stderr_of([] {
    mp::log_to_stderr(mp::LogLevel::debug);
    pid_t pid = 0;
    {
      mp::Process process({.name = "W1"}, [] { ::raise(SIGKILL); });
      process.start();
      pid = process.pid().value();
    }
    support::wait_for_state(pid, "Z");
    mp::active_children();
    mp::active_children();
  });
  auto const shown = told(text);
  CHECK(shown.ends_with("W1 (pid #) ended: was killed by SIGKILL\n"));
  CHECK(shown.find("ended") == shown.rfind("ended"));
}

TEST_CASE("debug tells of workers, and who killed them", "[logging]") {
  auto const text = stderr_of([] {
    mp::log_to_stderr(mp::LogLevel::debug);
    mp::Pool pool(1);
    try {
      pool.map([](int) { ::raise(SIGSEGV); }, std::vector{1});
    } catch (mp::WorkerDied const&) {
    }
  });
  CHECK_THAT(text, ContainsSubstring("[DEBUG/PoolWorker-1] process started\n") &&
                       ContainsSubstring("killed by SIGSEGV"));
}

TEST_CASE("a handler may use processes, also for what the library logs", "[logging]") {
  auto const text = stderr_of([] {
    struct Curious final : mp::LogHandler {
      void handle(mp::LogRecord const& record) override {
        alive = mp::active_children().size();
        if (record.text.ends_with("started")) mp::get_logger().error("there is one");
      }
      std::size_t alive = 0;
    };
    auto const curious = std::make_shared<Curious>();
    mp::log_to_stderr(mp::LogLevel::debug);
    mp::get_logger().add_handler(curious);
    run(inheritor("A"), [] {});
    if (curious->alive != 0) mp::get_logger().error("still alive");
  });
  CHECK_THAT(text, ContainsSubstring("[ERROR/MainProcess] there is one\n") &&
                       ContainsSubstring("[ERROR/A] there is one\n"));
  CHECK(text.find("still alive") == std::string::npos);
}

TEST_CASE("records of children arrive by a queue, as they were", "[logging]") {
  mp::Queue<mp::LogRecord> const queue;
  auto const before = std::chrono::system_clock::now();
  mp::Process process(
      {.name = "W1"},
      [](mp::Queue<mp::LogRecord> const& records) {
        mp::get_logger().add_handler(std::make_shared<mp::QueueLogHandler>(records));
        mp::get_logger().warning("one\ntwo");
        mp::get_logger().info("not logged");
        mp::get_logger().error("three");
      },
      queue);
  process.start();
  process.join();
  Shown shown;
  CHECK(mp::forward_logs(queue, shown) == 2);
  CHECK(mp::forward_logs(queue, shown) == 0);
  CHECK(shown.text == "[WARNING/W1] one\ntwo\n[ERROR/W1] three\n");
  CHECK(shown.last.pid == process.pid());
  CHECK(shown.last.time >= before);
  CHECK(shown.last.level == mp::LogLevel::error);
}

TEST_CASE("a queue handler that all have brings each record once to the parent's handlers",
          "[logging]") {
  mp::Queue<mp::LogRecord> const queue;
  auto const shown = std::make_shared<Shown>();
  auto const by_queue = std::make_shared<mp::QueueLogHandler>(queue);
  auto& logger = mp::get_logger();
  logger.add_handler(shown);
  logger.add_handler(by_queue);
  logger.error("own");
  run(inheritor("W1"), [] { mp::get_logger().error("child's"); });
  CHECK(queue.qsize() == 2);
  CHECK(mp::forward_logs(queue) == 2);
  CHECK(queue.empty());
  CHECK(shown->text == "[ERROR/MainProcess] own\n[ERROR/W1] child's\n");
  logger.remove_handler(by_queue);
  logger.remove_handler(shown);
}

TEST_CASE("what is forwarded is not written to stderr again", "[logging]") {
  auto const text = stderr_of([] {
    mp::Queue<mp::LogRecord> const queue;
    mp::log_to_stderr().add_handler(std::make_shared<mp::QueueLogHandler>(queue));
    run(inheritor("W1"), [] { mp::get_logger().error("once"); });
    mp::forward_logs(queue);
  });
  CHECK(text == "[ERROR/W1] once\n");
}

TEST_CASE("a queue that is full or shut down drops records, and holds up nobody", "[logging]") {
  mp::Queue<mp::LogRecord> const queue(1);
  auto const by_queue = std::make_shared<mp::QueueLogHandler>(queue);
  mp::get_logger().add_handler(by_queue);
  mp::get_logger().error("1");
  mp::get_logger().error("2");
  Shown shown;
  CHECK(mp::forward_logs(queue, shown) == 1);
  CHECK(shown.text == "[ERROR/MainProcess] 1\n");
  mp::get_logger().error("3");
  queue.shutdown();
  mp::get_logger().error("4");
  CHECK(mp::forward_logs(queue, shown) == 1);
  CHECK(mp::forward_logs(queue, shown) == 0);
  CHECK(shown.text == "[ERROR/MainProcess] 1\n[ERROR/MainProcess] 3\n");
  mp::get_logger().remove_handler(by_queue);
}

TEST_CASE("a thread can wait for the records of all workers", "[logging]") {
  mp::Queue<mp::LogRecord> const queue;
  auto const by_queue = std::make_shared<mp::QueueLogHandler>(queue);
  mp::get_logger().add_handler(by_queue);
  std::atomic<int> records{0};
  std::thread listener([&] {
    for (auto const& record : queue) {
      records += record.process_name.starts_with("PoolWorker") ? 1 : 0;
    }
  });
  {
    mp::Pool pool({.processes = 3, .start_method = mp::StartMethod::fork});
    pool.map([](int) { mp::get_logger().error("x"); }, std::vector<int>(200));
  }
  queue.shutdown();
  listener.join();
  CHECK(records == 200);
  mp::get_logger().remove_handler(by_queue);
}

TEST_CASE("who is killed while it forwards a record does not hold up the others", "[logging]") {
  mp::Queue<mp::LogRecord> const queue(50);
  auto const by_queue = std::make_shared<mp::QueueLogHandler>(queue);
  mp::get_logger().add_handler(by_queue);
  Shown shown;
  for (int i = 0; i < 40; ++i) {
    support::Pipe started;
    support::RawChild victim([&] {
      mp::get_logger().error("victim");
      started.tell();
      for (;;) mp::get_logger().error("victim");
    });
    started.hear();
    mp::forward_logs(queue, shown);
    victim.kill();
    victim.wait();
  }
  mp::forward_logs(queue, shown);
  shown.text.clear();
  run(inheritor("W1"), [] { mp::get_logger().error("alive"); });
  CHECK(mp::forward_logs(queue, shown) == 1);
  CHECK(shown.text == "[ERROR/W1] alive\n");
  mp::get_logger().remove_handler(by_queue);
}

TEST_CASE("a fork beside other threads is warned of once", "[logging]") {
  mp::Event go;
  std::thread other([&] { go.wait(); });
  auto const text = stderr_of([] {
    mp::log_to_stderr(mp::LogLevel::warning);
    std::thread([] {
      for (int i = 0; i < 2; ++i) run({.start_method = mp::StartMethod::fork}, [] {});
    }).join();
    run({.start_method = mp::StartMethod::spawn}, [] {});
  });
  go.set();
  other.join();
  CHECK(text.find("[WARNING/MainProcess] a process with 2 threads is forked") == 0);
  CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE("a spawned process logs as its parent does", "[logging]") {
  for (auto const method : {mp::StartMethod::spawn, mp::StartMethod::forkserver}) {
    auto const text = stderr_of([method] {
      mp::log_to_stderr(mp::LogLevel::info);
      run({.name = "W1", .start_method = method}, [] { mp::get_logger().info("from the child"); });
      launch::ForkServer::of_this_process().stop();
    });
    CHECK(text == "[INFO/W1] from the child\n");
  }
}

}  // namespace logging_test
