// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/stderr_handler.hpp>

#include <fcntl.h>

#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/system_calls.hpp"
#include "../support/temporary_directory.hpp"

namespace stderr_handler_test {

namespace mp = multiprocessing;
using mp::launch::StderrHandler;

namespace {

mp::LogRecord record(std::string text) {
  return {mp::LogLevel::info, "P", ::getpid(), std::chrono::system_clock::now(), std::move(text)};
}

/// Longer than a pipe takes at once, and all of one letter; "pppp..p" of some process p.
std::string long_text(int process, int line) {
  return std::string(4000 + static_cast<std::size_t>(line % 7) * 3000,
                     static_cast<char>('a' + process));
}

/// Whether it is a line of long_text(), whole.
bool is_whole(std::string const& line) {
  constexpr std::string_view kPrefix = "[INFO/P] ";
  if (!line.starts_with(kPrefix)) return false;
  auto const text = line.substr(kPrefix.size());
  return text.find_first_not_of(text[0]) == std::string::npos && text.size() >= 4000 &&
         (text.size() - 4000) % 3000 == 0;
}

std::vector<std::string> lines_of(std::string const& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Stderr of this process is the pipe as long as it lives.
class Redirected {
 public:
  explicit Redirected(support::Pipe const& pipe) : before_(::dup(STDERR_FILENO)) {
    ::dup2(pipe.writer.get(), STDERR_FILENO);
  }
  Redirected(Redirected const&) = delete;
  Redirected& operator=(Redirected const&) = delete;
  ~Redirected() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }

 private:
  int before_;
};

}  // namespace

static_assert(std::is_trivially_destructible_v<mp::launch::LineTurn>);

TEST_CASE("a record is a line on stderr, and those of other processes are passed over",
          "[stderr_handler]") {
  auto const [text, status] = support::stderr_of([] {
    StderrHandler handler;
    handler.handle(record("one"));
    auto other = record("other");
    other.pid = ::getppid();
    handler.handle(other);
    handler.handle(record("two\nlines"));
    return 0;
  });
  CHECK(text == "[INFO/P] one\n[INFO/P] two\nlines\n");
  CHECK(status == 0);
}

TEST_CASE("without stderr nothing happens", "[stderr_handler]") {
  support::RawChild child([] {
    ::close(STDERR_FILENO);
    StderrHandler handler;
    if (handler.turn_of_stderr() != nullptr) return 1;
    handler.handle(record("x"));
    return 0;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a line is one write, however long", "[stderr_handler]") {
  if (support::kSanitized) return;  // its allocator asks for each larger block
  auto const calls_for = [](std::size_t size) {
    return support::system_calls_of([&] {
      ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
      StderrHandler handler;
      handler.handle(record("first, makes the turn"));
      handler.handle(record(std::string(size, 'x')));
    });
  };
  CHECK(calls_for(10) == calls_for(9000));
}

TEST_CASE("long lines of many processes and threads on one pipe never mix", "[stderr_handler]") {
  constexpr int kProcesses = 6;
  constexpr int kLines = 40;  // a thread
  for (bool const non_blocking : {false, true}) {
    support::Pipe pipe;
    auto const handler = std::make_shared<StderrHandler>();
    std::vector<std::unique_ptr<support::RawChild>> children;
    {
      Redirected const redirected(pipe);
      REQUIRE(handler->turn_of_stderr() != nullptr);
      if (non_blocking) ::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
      for (int process = 0; process < kProcesses; ++process) {
        children.push_back(std::make_unique<support::RawChild>([&] {
          auto const log_lines = [&] {
            for (int line = 0; line < kLines; ++line) {
              handler->handle(record(long_text(process, line)));
            }
          };
          std::thread other(log_lines);
          log_lines();
          other.join();
        }));
      }
    }
    auto const lines = lines_of(pipe.drain());
    CHECK(lines.size() == kProcesses * 2 * kLines);
    std::map<char, int> of_process;
    for (auto const& line : lines) {
      REQUIRE(is_whole(line));
      ++of_process[line.back()];
    }
    CHECK(of_process.size() == kProcesses);
    for (auto const& child : children) CHECK(child->wait() == 0);
  }
}

TEST_CASE("who is killed while it writes holds up nobody, and spoils no other's line",
          "[stderr_handler]") {
  constexpr int kVictims = 60;
  support::Pipe pipe;
  support::TemporaryDirectory const files;
  // No thread: a sanitizer's allocator may be locked by it when the others are forked.
  support::RawChild reader([&] {
    pipe.writer.reset();
    std::ofstream file(files.path("said"), std::ios::binary);
    char buffer[5000];
    for (ssize_t n; (n = ::read(pipe.reader.get(), buffer, sizeof buffer)) > 0;) {
      file.write(buffer, n);
    }
  });
  auto const handler = std::make_shared<StderrHandler>();
  {
    Redirected const redirected(pipe);
    REQUIRE(handler->turn_of_stderr() != nullptr);
    std::minstd_rand random(1);
    auto const survivor = std::make_unique<support::RawChild>([&] {
      for (int line = 0; line < 300; ++line) handler->handle(record(long_text(25, line)));
    });
    for (int i = 0; i < kVictims; ++i) {
      support::Pipe started;
      support::RawChild victim([&] {
        for (int line = 0;; ++line) {
          handler->handle(record(long_text(i % 20, line)));
          if (line == 0) started.tell();
        }
      });
      started.hear();
      for (auto pause = random() % 100; pause > 0; --pause) ::sched_yield();
      victim.kill();
      victim.wait();
    }
    CHECK(survivor->wait() == 0);
    pipe.writer.reset();
  }
  CHECK(reader.wait() == 0);
  int of_survivor = 0;
  int torn = 0;
  for (auto const& line : lines_of(files.read("said"))) {
    if (line == "") continue;  // it was torn nowhere
    if (is_whole(line)) {
      of_survivor += line.back() == 'z' ? 1 : 0;
      continue;
    }
    // A victim's last line ends anywhere, and nothing else is on it.
    ++torn;
    auto const prefix = std::string("[INFO/P] ");
    auto const rest = line.substr(std::min(line.size(), prefix.size()));
    CHECK(line.substr(0, prefix.size()) == prefix.substr(0, line.size()));
    CHECK(rest.find_first_not_of(rest[0]) == std::string::npos);
    CHECK(rest[0] != 'z');
  }
  CHECK(of_survivor == 300);
  CHECK(torn <= kVictims);
}

TEST_CASE("who waits at a full pipe does not hold up those who write elsewhere",
          "[stderr_handler]") {
  support::Pipe full;
  support::Pipe other;
  StderrHandler handler;
  std::unique_ptr<support::RawChild> stuck;
  {
    Redirected const redirected(other);
    REQUIRE(handler.turn_of_stderr() != nullptr);
    stuck = std::make_unique<support::RawChild>([&] {
      ::dup2(full.writer.get(), STDERR_FILENO);
      other.writer.reset();
      handler.handle(record(std::string(200'000, 'x')));
    });
    support::wait_until_asleep(stuck->pid());
    handler.handle(record("still here"));
  }
  CHECK(other.drain() == "[INFO/P] still here\n");
  CHECK(full.drain().size() > 200'000);
  CHECK(stuck->wait() == 0);
}

TEST_CASE("there is one turn for each file, whoever asks first", "[stderr_handler]") {
  support::Pipe one;
  support::Pipe two;
  StderrHandler handler;
  Redirected const first(one);
  auto const* const turn = handler.turn_of_stderr();
  REQUIRE(turn != nullptr);
  {
    Redirected const second(two);
    CHECK(handler.turn_of_stderr() != turn);
    StderrHandler taught;
    auto const* const learned = taught.add(*turn);
    CHECK(*learned == *turn);
    CHECK(taught.add(*turn) == learned);
  }
  CHECK(handler.turn_of_stderr() == turn);
  std::set<StderrHandler::Turn const*> seen;
  StderrHandler fresh;
  std::vector<std::thread> threads;
  std::vector<StderrHandler::Turn const*> turns(8);
  for (auto& each : turns) threads.emplace_back([&] { each = fresh.turn_of_stderr(); });
  for (auto& thread : threads) thread.join();
  seen.insert(turns.begin(), turns.end());
  CHECK(seen.size() == 1);
}

}  // namespace stderr_handler_test
