// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/result_log.hpp>

#include <sys/stat.h>

#include "../support/catch.hpp"

namespace result_log_test {

using multiprocessing::work::ResultLog;
namespace shm = multiprocessing::shm;

TEST_CASE("a result log hands out disjoint room, with pages, until it is full", "[result_log]") {
  shm::Segment const segment("test", std::uint64_t{4} << 20, std::uint64_t{4} << 20);
  ResultLog log;
  log.room = {std::uint64_t{1} << 20, std::uint64_t{1} << 20};
  auto const first = log.take(segment, 10);
  auto const second = log.take(segment, 300'000);
  CHECK(first.offset == log.room.offset);
  CHECK(second.offset >= first.end());
  segment.data(second.offset)[second.size - 1] = std::byte{1};  // SIGBUS without pages
  CHECK_THROWS_AS(log.take(segment, std::uint64_t{1} << 20), std::bad_alloc);
  CHECK_THROWS_AS(log.take(segment, UINT64_MAX - 100), std::bad_alloc);
}

TEST_CASE("a trimmed log keeps its first step, and gives back what a dead worker had committed",
          "[result_log]") {
  shm::Segment const segment("test", std::uint64_t{4} << 20, std::uint64_t{4} << 20);
  ResultLog log;
  log.room = {std::uint64_t{1} << 20, std::uint64_t{2} << 20};
  CHECK(log.trim(segment) == 0);
  static_cast<void>(log.take(segment, 10));
  CHECK(log.trim(segment) == ResultLog::kStep);
  // as a worker leaves it that is killed between the commit and the note of it
  log.taken = std::uint64_t{1} << 20;
  segment.commit({log.room.offset, std::uint64_t{1} << 20});
  CHECK(log.trim(segment) == ResultLog::kStep);
  struct stat status;
  REQUIRE(::fstat(segment.fd().get(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 <= ResultLog::kStep + 2 * 4096);
}

}  // namespace result_log_test
