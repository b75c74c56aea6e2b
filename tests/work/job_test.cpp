// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/job.hpp>

#include <sys/stat.h>

#include <multiprocessing/work/map.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace job_test {

using namespace multiprocessing::work;
namespace wire = multiprocessing::wire;

namespace {
std::uint64_t backed_bytes(Crew const& crew) {
  struct stat status;
  REQUIRE(::fstat(crew.segment().fd().get(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}
void end(Crew& crew) {
  crew.close("test");
  crew.join("test");
}
}  // namespace

TEST_CASE("sizes cut the items into chunks, the last one shorter", "[job]") {
  CHECK(JobSizes{.items = 10, .chunk_size = 3}.chunks() == 4);
  CHECK(JobSizes{.items = 9, .chunk_size = 3}.chunks() == 3);
  CHECK(JobSizes{.items = 1, .chunk_size = 100}.chunks() == 1);
}

TEST_CASE("a job of too many chunks is refused with the way out", "[job]") {
  Crew crew({.workers = 1});
  auto const text = support::message_of<std::length_error>(
      [&] { Job const job(crew, "Pool.map", {.items = std::uint64_t{1} << 33}, {}, {}); });
  CHECK_THAT(text,
             ContainsSubstring("Pool.map: 8589934592 chunks") && ContainsSubstring("chunksize"));
  end(crew);
}

TEST_CASE("a job that does not fit is bad_alloc, and the next one runs", "[job]") {
  Crew crew({.workers = 1});
  CHECK_THROWS_AS(
      Job(crew, "Pool.map", {.items = 1, .result_bytes = std::uint64_t{1} << 50}, {}, {}),
      std::bad_alloc);
  CHECK(map(crew, "Pool.map", {}, &support::square, std::vector{7}) == std::vector{49});
  end(crew);
}

TEST_CASE("after a big job its memory is back with the system", "[job]") {
  Crew crew({.workers = 2});
  map(crew, "Pool.map", {}, &support::square, support::numbers(1000));
  auto const before = backed_bytes(crew);
  map(
      crew, "Pool.map", {}, [](int x) { return x + 1; }, support::numbers(5'000'000));
  map(
      crew, "Pool.map", {}, [](int) { return std::string(1000, 'x'); }, support::numbers(20'000));
  CHECK(backed_bytes(crew) <= before + (std::uint64_t{5} << 20));
  end(crew);
}

}  // namespace job_test
