// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/snapshot.hpp>

#include <map>
#include <numeric>
#include <vector>

#include "../support/catch.hpp"

namespace snapshot_test {

using namespace multiprocessing::serve;

TEST_CASE("a snapshot is gone through once", "[snapshot]") {
  int sum = 0;
  for (SnapshotIterator i(std::vector{1, 2, 3}); i != std::default_sentinel; ++i) sum += *i;
  CHECK(sum == 6);
  CHECK(SnapshotIterator(std::vector<int>()) == std::default_sentinel);
  CHECK(SnapshotIterator<std::vector<int>>() == std::default_sentinel);
  SnapshotIterator i(std::map<int, int>{{1, 2}});
  CHECK(i->second == 2);
  auto copy = i;
  i++;
  CHECK(i == std::default_sentinel);
  CHECK(copy->first == 1);  // has the snapshot, too
}

}  // namespace snapshot_test
