// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/trace_file.hpp>

#include <cmath>
#include <stdexcept>
#include <string>
#include <system_error>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"
#include "../support/temporary_directory.hpp"

namespace trace_file_test {

namespace mp = multiprocessing;
using mp::work::json_string;
using mp::work::microseconds;

namespace {

class TraceText {
 public:
  std::string path() const { return files_.path("trace.json"); }
  std::string text() const { return files_.read("trace.json"); }

 private:
  support::TemporaryDirectory files_;
};

/// The line of the event.
std::string event_with(std::string const& text, std::string const& part) {
  auto const at = text.find(part);
  auto const begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}
double number_of(std::string const& event, std::string const& name) {
  return std::stod(event.substr(event.find("\"" + name + "\":") + name.size() + 3));
}

struct DoNothing {
  void operator()() const {}
};

int count(std::string const& text, std::string const& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("text is written as JSON wants it", "[trace_file]") {
  CHECK(json_string("f<\"a\\b\">\n\x01") == "\"f<\\\"a\\\\b\\\">\\u000a\\u0001\"");
  CHECK(microseconds(1'234'056) == "1234.056");
  CHECK(microseconds(7) == "0.007");
}

TEST_CASE("a trace has a bar for each task and chunk, on the row of its worker", "[trace_file]") {
  TraceText const file;
  mp::Pool pool(1);
  CHECK(pool.apply(support::square, 1) == 1);  // before
  pool.trace(file.path());
  for (int i = 0; i < 3; ++i) CHECK(pool.apply(support::square, i) == i * i);
  pool.apply(DoNothing());
  CHECK(pool.map({.chunksize = 1}, support::square, support::numbers(5)) == support::squares(5));
  pool.close();
  pool.join();
  auto const text = file.text();
  CHECK(count(text, "\"cat\":\"task\",\"ph\":\"X\"") == 4);
  CHECK(count(text, "\"cat\":\"chunk\",\"ph\":\"X\"") == 5);
  CHECK(count(text, "\"name\":\"worker 0\"") == 1);
  CHECK(count(text, "DoNothing\"") == 1);
  CHECK(count(text, "exited with code 0") == 1);
  CHECK(count(text, "{") == count(text, "}"));
  CHECK(text.substr(text.size() - 4) == "\n]}\n");
}

TEST_CASE("a trace tells of deaths, and where the task ended that they ended", "[trace_file]") {
  TraceText const file;
  mp::Value<int> runs(0);
  {
    mp::Pool pool(1);
    pool.trace(file.path());
    auto const die_first = [](mp::Value<int> const& counted) {
      int const run = counted.update([](int& n) { return ++n; });
      return run == 1 ? support::kill_self(run) : run;
    };
    CHECK(pool.apply_async({.retries = 1}, die_first, runs).get() == 2);
  }
  auto const text = file.text();
  CHECK(count(text, "was killed by SIGKILL") == 1);
  CHECK(count(text, "starts\"") == 1);
  CHECK(count(text, "\"run\":1}") == 1);
  CHECK(count(text, "\"run\":2}") == 1);
  auto const first = event_with(text, "\"run\":1}");
  auto const end = number_of(first, "ts") + number_of(first, "dur");
  auto const death = number_of(event_with(text, "was killed by SIGKILL"), "ts");
  CHECK(std::abs(end - death) < 0.01);
}

TEST_CASE("a trace names the task that its worker did not survive", "[trace_file]") {
  TraceText const file;
  {
    mp::Pool pool(1);
    pool.trace(file.path());
    CHECK_THROWS_AS(pool.apply(support::kill_self, 1), mp::WorkerDied);
  }
  CHECK(event_with(file.text(), "\"cat\":\"task\"").find("kill_self") != std::string::npos);
}

TEST_CASE("a file that can not be written is told at once", "[trace_file]") {
  mp::Pool pool(1);
  CHECK(support::message_of<std::system_error>([&] { pool.trace("/there/is/no/such/place"); }) ==
        "open(/there/is/no/such/place): No such file or directory");
  TraceText const file;
  pool.trace(file.path());
  CHECK(support::message_of<std::invalid_argument>([&] { pool.trace(file.path()); }) ==
        "Pool.trace: the pool is traced already");
  pool.terminate();
  CHECK(count(file.text(), "traceEvents") == 1);
}

}  // namespace trace_file_test
