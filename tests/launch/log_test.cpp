// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/log.hpp>

#include <malloc.h>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/launch/log_settings.hpp>
#include <multiprocessing/process.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/system_calls.hpp"

namespace log_test {

namespace mp = multiprocessing;
namespace launch = mp::launch;

namespace {

/// Keeps the records that it is given.
class Keeper final : public mp::LogHandler {
 public:
  void handle(mp::LogRecord const& record) override { records.push_back(record); }
  std::vector<mp::LogRecord> records;
};

mp::Logger& logger() { return mp::Logger::of_this_process(); }

/// Logger and settings are as before when it goes.
class Undo {
 public:
  Undo() : before_(launch::current_log_settings()) {}
  Undo(Undo const&) = delete;
  Undo& operator=(Undo const&) = delete;
  ~Undo() { launch::apply_log_settings(before_); }

 private:
  launch::LogSettings before_;
};

/// Among the handlers as long as it lives.
class Keeping {
 public:
  Keeping() { logger().add_handler(keeper_); }
  Keeping(Keeping const&) = delete;
  Keeping& operator=(Keeping const&) = delete;
  ~Keeping() { logger().remove_handler(keeper_); }
  std::vector<mp::LogRecord> const& records() const { return keeper_->records; }

 private:
  std::shared_ptr<Keeper> keeper_ = std::make_shared<Keeper>();
};

struct Printable {
  int* printed;
  std::string to_string() const {
    ++*printed;
    return "P";
  }
};

}  // namespace

TEST_CASE("unless a level was set, warnings are logged and what is above", "[log]") {
  CHECK(logger().level() == mp::LogLevel::notset);
  CHECK(logger().is_enabled_for(mp::LogLevel::warning));
  CHECK(logger().is_enabled_for(mp::LogLevel::critical));
  CHECK_FALSE(logger().is_enabled_for(mp::LogLevel::subwarning));
  CHECK_FALSE(logger().is_enabled_for(mp::LogLevel::notset));
}

TEST_CASE("every call logs at its level, and tells who, when and what", "[log]") {
  Undo const undo;
  Keeping const kept;
  logger().set_level(mp::LogLevel{1});
  auto const before = std::chrono::system_clock::now();
  logger().debug("d");
  logger().info("i");
  logger().warning("w");
  logger().error("e");
  logger().critical("c");
  logger().log(mp::LogLevel{15}, "15");
  REQUIRE(kept.records().size() == 6);
  std::string texts;
  for (auto const& record : kept.records()) {
    CHECK(record.process_name == "MainProcess");
    CHECK(record.pid == ::getpid());
    CHECK(record.time >= before);
    texts += to_string(record.level) + record.text + " ";
  }
  CHECK(texts == "DEBUGd INFOi WARNINGw ERRORe CRITICALc Level 1515 ");
}

TEST_CASE("the level is set live", "[log]") {
  Undo const undo;
  Keeping const kept;
  logger().set_level(mp::LogLevel::error);
  CHECK(logger().level() == mp::LogLevel::error);
  logger().warning("no");
  logger().set_level(mp::LogLevel::info);
  logger().info("yes");
  logger().debug("no");
  REQUIRE(kept.records().size() == 1);
  CHECK(kept.records()[0].text == "yes");
}

TEST_CASE("a level that is not enabled asks nothing of the kernel, nor of anybody", "[log]") {
  Undo const undo;
  Keeping const kept;
  int printed = 0;
  logger().set_level(mp::LogLevel::info);
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 1000; ++i) logger().debug("x");
        }) == 0);
  auto const in_use = [] { return ::mallinfo2().uordblks; };
  auto const before = in_use();
  for (int i = 0; i < 1000; ++i) {
    logger().debug("x");
    launch::log(mp::LogLevel::debug, Printable{&printed});
  }
  CHECK(in_use() == before);
  CHECK(printed == 0);
  CHECK(kept.records().empty());
}

TEST_CASE("the library's own records are put together when they are wanted", "[log]") {
  Undo const undo;
  Keeping const kept;
  int printed = 0;
  logger().set_level(mp::LogLevel::debug);
  launch::log(mp::LogLevel::debug, "pid ", 12345, ", ", Printable{&printed}, std::string("."));
  CHECK(printed == 1);
  REQUIRE(kept.records().size() == 1);
  CHECK(kept.records()[0].text == "pid 12345, P.");
}

TEST_CASE("logging keeps errno, and no handler's exception leaves the library", "[log]") {
  struct Thrower final : mp::LogHandler {
    void handle(mp::LogRecord const& record) override {
      errno = ENOENT;
      if (record.text == "odd") throw 1;
      throw std::runtime_error("no disk");
    }
  };
  auto const thrower = std::make_shared<Thrower>();
  logger().add_handler(thrower);
  errno = EBADF;
  logger().error("x");
  CHECK(errno == EBADF);
  logger().handle({mp::LogLevel::debug, "P", 1, {}, "x"});
  CHECK(errno == EBADF);
  CHECK_THROWS_AS(logger().error("odd"), int);
  launch::log(mp::LogLevel::error, "odd");
  logger().remove_handler(thrower);
  CHECK_THROWS_AS(logger().add_handler(nullptr), std::invalid_argument);
}

TEST_CASE("a logger without handlers is silent", "[log]") {
  auto const [text, status] = support::stderr_of([] {
    logger().critical("nobody hears");
    return 0;
  });
  CHECK(text.empty());
  CHECK(status == 0);
}

TEST_CASE("children log while other threads of their parent log all the time", "[log]") {
  support::Pipe pipe;
  constexpr int kChildren = 100;
  support::RawChild parent([&] {
    ::dup2(pipe.writer.get(), STDERR_FILENO);
    launch::log_to_stderr();
    logger().set_level(mp::LogLevel::info);
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        while (!done) logger().info("parent");
      });
    }
    int failed = 0;
    for (int i = 0; i < kChildren; ++i) {
      mp::Process child([] { logger().info("child"); });
      child.start();
      child.join();
      failed += child.exitcode() == 0 ? 0 : 1;
    }
    done = true;
    for (auto& thread : threads) thread.join();
    return failed;
  });
  auto const text = pipe.drain();
  CHECK(parent.wait() == 0);
  int children = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "[INFO/MainProcess] parent") continue;
    if (line.starts_with("[WARNING/MainProcess] a process with 3 threads is forked")) continue;
    ++children;
    CHECK(line == "[INFO/Process-" + std::to_string(children) + "] child");
  }
  CHECK(children == kChildren);
}

}  // namespace log_test
