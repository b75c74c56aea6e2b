// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shm/arena_layout.hpp>

#include <cstring>

#include "../support/catch.hpp"

namespace arena_layout_test {

using multiprocessing::shm::ArenaLayout;
using multiprocessing::shm::Number;
using multiprocessing::shm::Segment;
namespace os = multiprocessing::os;

TEST_CASE("a table that grows has pages for all its entries and few more", "[arena]") {
  constexpr std::uint64_t kTable = ArenaLayout::kPage;
  Segment const segment("test", std::uint64_t{1} << 20, std::uint64_t{1} << 20);
  for (std::uint64_t const size : {64U, 48'000U, 64U << 10, 100'000U}) {
    auto const before = os::allocated_size(segment.fd());
    for (Number index = 0; (index + 1) * size < 500'000; ++index) {
      ArenaLayout::commit_entry(segment, kTable, size, index);
      auto const grown = os::allocated_size(segment.fd()) - before;
      REQUIRE(grown >= (index + 1) * size);
      REQUIRE(grown < (index + 1) * size + ArenaLayout::kStep);
    }
    segment.discard({kTable, segment.size() - kTable});
  }
}

}  // namespace arena_layout_test
