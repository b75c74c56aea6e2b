// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/death_log.hpp>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

#include <multiprocessing/os/pidfd.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace death_log_test {

[[gnu::noinline]] int write_to(int volatile* place) {  // exported, so that it has a name
  *place = 1;
  return *place;
}

namespace mp = multiprocessing;
namespace shm = multiprocessing::shm;
using multiprocessing::work::DeathLog;
using multiprocessing::work::WorkerDeath;

namespace {

/// A log in a segment, with room behind it.
struct Logged {
  shm::Segment segment{"test", std::uint64_t{1} << 30, std::uint64_t{1} << 24};
  DeathLog& log = *make(segment);

  static DeathLog* make(shm::Segment const& segment) {
    auto const place = shm::Segment::kHeaderSize;
    segment.commit({place, sizeof(DeathLog)});
    auto* const log = new (segment.data(place)) DeathLog;
    log->place = shm::round_up(place + sizeof(DeathLog), 4096);
    return log;
  }

  std::uint32_t add(std::int32_t pid, std::int32_t signal = SIGKILL) {
    return log.add(segment, 0, {pid, CLD_KILLED, signal, std::uint64_t{1} << 20});
  }
};

}  // namespace

TEST_CASE("a death is found by its number", "[death_log]") {
  Logged logged;
  CHECK_FALSE(logged.log.find(logged.segment, 0));
  CHECK_FALSE(logged.log.find(logged.segment, 1));
  auto const first = logged.add(100);
  auto const second = logged.add(100, SIGTERM);
  REQUIRE(first != second);
  auto const death = logged.log.find(logged.segment, second);
  REQUIRE(death);
  CHECK(death->pid == 100);
  CHECK(death->status().signal() == SIGTERM);
  CHECK(death->peak_memory == std::uint64_t{1} << 20);
  CHECK(death->details.backtrace.empty());
  CHECK(logged.log.find(logged.segment, first)->status().signal() == SIGKILL);
}

TEST_CASE("only the latest deaths are there", "[death_log]") {
  Logged logged;
  std::vector<std::uint32_t> numbers;
  for (std::int32_t pid = 1; pid <= 200; ++pid) numbers.push_back(logged.add(pid));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    auto const death = logged.log.find(logged.segment, numbers[i]);
    REQUIRE(death.has_value() == (i >= numbers.size() - DeathLog::kKept));
    if (death) CHECK(death->pid == static_cast<std::int32_t>(i + 1));
  }
}

TEST_CASE("the last deaths are told, a line each", "[death_log]") {
  Logged logged;
  CHECK(logged.log.last_lines(logged.segment, 3).empty());
  for (std::int32_t pid = 1; pid <= 100; ++pid) logged.add(pid);
  auto const lines = logged.log.last_lines(logged.segment, 2);
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[0], ContainsSubstring("worker process 99 was killed by SIGKILL"));
  CHECK_THAT(lines[1], ContainsSubstring("worker process 100 "));
  CHECK(logged.log.last_lines(logged.segment, 1000).size() == DeathLog::kKept);
}

TEST_CASE("a crash is told with its address and place, the next death without", "[death_log]") {
  if (!mp::os::kHandlesCrashes) return;
  Logged logged;
  auto const die = [&](auto const& how) {
    logged.log.expect(logged.segment, 5);
    support::RawChild worker([&] {
      mp::os::reset_signals();
      logged.log.watch(logged.segment, 5);
      how();
    });
    int const pid = worker.pid();
    int const signal = -worker.exitcode();
    return logged.log.find(logged.segment,
                           logged.log.add(logged.segment, 5, {pid, CLD_KILLED, signal}));
  };
  auto const crash = die([] { write_to(reinterpret_cast<int*>(std::uintptr_t{0x10})); });
  REQUIRE(crash);
  CHECK(crash->details.fault_address == std::uintptr_t{0x10});
  REQUIRE_FALSE(crash->details.backtrace.empty());
  CHECK_THAT(crash->details.backtrace[0], ContainsSubstring("death_log_test::write_to"));
  CHECK_THAT(crash->line(), ContainsSubstring("SIGSEGV (segmentation fault) at address 0x10 in "
                                              "death_log_test::write_to"));
  auto const killed = die([] { ::kill(::getpid(), SIGKILL); });
  REQUIRE(killed);
  CHECK(killed->details.backtrace.empty());
  CHECK_FALSE(killed->details.fault_address);
}

TEST_CASE("what is read while others are added is whole, or not there", "[death_log][threads]") {
  Logged logged;
  constexpr std::uint32_t kDeaths = 20'000;
  std::atomic<std::uint32_t> latest{0};
  std::thread nursery([&] {
    while (latest != kDeaths) {
      auto const pid = static_cast<std::int32_t>(latest.load() + 1);
      latest = logged.add(pid, pid % 30 + 1);
    }
  });
  bool good = true;
  long found = 0;
  for (std::uint32_t now = 0; now != kDeaths;) {
    now = latest.load();
    // Those that are written, or overwritten, just now.
    for (auto const back : {-1U, 0U, 1U, DeathLog::kKept - 1, DeathLog::kKept}) {
      auto const number = now - back;
      auto const death = logged.log.find(logged.segment, number);
      if (!death) continue;
      ++found;
      auto const pid = static_cast<std::int32_t>(number);
      good = good && death->pid == pid && death->end_status == pid % 30 + 1;
    }
  }
  nursery.join();
  CHECK(good);
  CHECK(found > 0);
}

}  // namespace death_log_test
