// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/log_record.hpp>

#include <type_traits>

#include <multiprocessing/pickle.hpp>

#include "../support/catch.hpp"

namespace log_record_test {

namespace mp = multiprocessing;

static_assert(mp::Picklable<mp::LogRecord>);
static_assert(std::is_abstract_v<mp::LogHandler> && !std::is_copy_constructible_v<mp::LogHandler>);

TEST_CASE("levels have Python's names and numbers", "[log_record]") {
  CHECK(to_string(mp::LogLevel::notset) == "NOTSET");
  CHECK(to_string(mp::LogLevel::subdebug) == "SUBDEBUG");
  CHECK(to_string(mp::LogLevel::debug) == "DEBUG");
  CHECK(to_string(mp::LogLevel::info) == "INFO");
  CHECK(to_string(mp::LogLevel::subwarning) == "SUBWARNING");
  CHECK(to_string(mp::LogLevel::warning) == "WARNING");
  CHECK(to_string(mp::LogLevel::error) == "ERROR");
  CHECK(to_string(mp::LogLevel::critical) == "CRITICAL");
  CHECK(to_string(mp::LogLevel{15}) == "Level 15");
  CHECK(mp::LogLevel{5} == mp::LogLevel::subdebug);
  CHECK(mp::LogLevel{25} == mp::LogLevel::subwarning);
  CHECK(mp::LogLevel{50} == mp::LogLevel::critical);
}

TEST_CASE("a record is shown as Python shows it, its prefix once", "[log_record]") {
  mp::LogRecord record{mp::LogLevel::warning, "Process-1:2", 7, {}, "doomed"};
  CHECK(mp::format_record(record) == "[WARNING/Process-1:2] doomed");
  record.text = "one\ntwo";
  CHECK(mp::format_record(record) == "[WARNING/Process-1:2] one\ntwo");
}

TEST_CASE("a record comes back from its bytes as it was", "[log_record]") {
  mp::LogRecord const record{mp::LogLevel{15}, "W1", 4711, std::chrono::system_clock::now(),
                             std::string("a\0b\n", 4)};
  auto const back = mp::loads<mp::LogRecord>(mp::dumps(record));
  CHECK(back.level == record.level);
  CHECK(back.process_name == record.process_name);
  CHECK(back.pid == record.pid);
  CHECK(back.time == record.time);
  CHECK(back.text == record.text);
}

}  // namespace log_record_test
