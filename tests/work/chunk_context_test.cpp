// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/chunk_context.hpp>

#include <cstdint>
#include <cstring>

#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/shm/segment.hpp>

#include "../support/catch.hpp"

namespace chunk_context_test {

namespace mp = multiprocessing;
using mp::work::ChunkContext;
using mp::work::JobRecord;

TEST_CASE("the last chunk of a job may have fewer items", "[chunk_context]") {
  mp::shm::Segment const segment("chunk_context_test", std::uint64_t{1} << 16,
                                 std::uint64_t{1} << 16);
  auto const modules = mp::os::ModuleTable::now();
  mp::os::ForkDetector const fork_detector;
  JobRecord job;
  job.items = 10;
  job.chunk_size = 4;
  auto const chunk = [&](std::uint32_t number) {
    return ChunkContext{segment, modules, fork_detector, job, number};
  };
  CHECK(chunk(0).first_item() == 0);
  CHECK(chunk(0).end_item() == 4);
  CHECK(chunk(2).first_item() == 8);
  CHECK(chunk(2).end_item() == 10);
}

}  // namespace chunk_context_test
