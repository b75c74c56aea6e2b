// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/chunk.hpp>

#include "../support/catch.hpp"

namespace chunk_test {

using multiprocessing::work::ChunkWord;
using Phase = ChunkWord::Phase;

TEST_CASE("a chunk word survives packing", "[chunk]") {
  ChunkWord const word{0xdeadbeef, 0x3ff, Phase::Lost};
  auto const same = ChunkWord::unpack(word.pack());
  CHECK(same.generation == word.generation);
  CHECK(same.worker == word.worker);
  CHECK(same.phase == word.phase);
}

TEST_CASE("a chunk is settled once its phase is final", "[chunk]") {
  auto const settled = [](Phase phase) { return ChunkWord{1, 0, phase}.settled(); };
  CHECK_FALSE(settled(Phase::Free));
  CHECK_FALSE(settled(Phase::Claimed));
  CHECK(settled(Phase::Done));
  CHECK(settled(Phase::Failed));
  CHECK(settled(Phase::Lost));
  CHECK(settled(Phase::Dropped));
}

}  // namespace chunk_test
