// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/worker.hpp>

#include <new>
#include <stdexcept>

#include "../support/catch.hpp"

namespace worker_test {

using namespace multiprocessing::work;
namespace mp = multiprocessing;
namespace shm = multiprocessing::shm;
namespace wire = multiprocessing::wire;
namespace launch = multiprocessing::launch;
using Phase = ChunkWord::Phase;

namespace {

constexpr shm::Offset kAt = std::uint64_t{1} << 20;

void succeeds(ChunkContext const&) {}
void fails(ChunkContext const&) { throw std::out_of_range("no such item"); }
void exits(ChunkContext const&) { throw launch::ExitRequest{3}; }

/// A job of one chunk that is claimed by worker 4, run in this process.
class OneChunk {
 public:
  explicit OneChunk(RunChunk* code)
      : segment_("test", std::uint64_t{4} << 20, std::uint64_t{4} << 20) {
    segment_.commit({4096, segment_.size() - 4096});
    board_ = new (segment_.data(4096)) Board;
    record_ = new (segment_.data(kAt)) JobRecord;
    record_->run_chunk = wire::place_of(code);
    record_->items = record_->chunk_size = 1;
    record_->chunk_results = kAt + 4096;
    record_->log.room = {std::uint64_t{2} << 20, std::uint64_t{1} << 20};
    new (&result()) ChunkResult;
    claim_.job = {&board_->slots[0], 1, 1, 0, segment_.at<AtomicChunkWord>(kAt + 8192), record_};
    claim_.chunk = 0;
    claim_.job.words[0].store(ChunkWord{1, 4, Phase::Claimed}.pack());
  }

  void run() {
    auto const modules = mp::os::ModuleTable::now();
    auto const wake = mp::os::create_eventfd();
    Worker(segment_, *board_, modules, 4, wake).run_claimed(claim_);
  }
  void fill_log() { record_->log.taken = record_->log.room.size; }

  Phase phase() const { return ChunkWord::unpack(claim_.job.words[0].load()).phase; }
  ChunkResult& result() const { return *segment_.at<ChunkResult>(kAt + 4096); }
  wire::ExceptionRecord exception() const {
    std::span<std::byte const> bytes{segment_.data(result().offset), result().size};
    return wire::decode<wire::ExceptionRecord>(bytes);
  }

 private:
  shm::Segment segment_;
  Board* board_;
  JobRecord* record_;
  Claim claim_;
};

}  // namespace

TEST_CASE("a chunk that returns is done, one that throws has failed with its exception",
          "[worker]") {
  OneChunk good(&succeeds);
  good.run();
  CHECK(good.phase() == Phase::Done);

  OneChunk bad(&fails);
  bad.run();
  CHECK(bad.phase() == Phase::Failed);
  CHECK(bad.exception().chain.at(0).type_name == "std::out_of_range");
  CHECK(bad.exception().chain.at(0).what == "no such item");
}

TEST_CASE("a failure is told even when there is no memory to describe it", "[worker]") {
  OneChunk chunk(&fails);
  chunk.fill_log();
  chunk.run();
  CHECK(chunk.phase() == Phase::Failed);
  CHECK(chunk.result().size == 0);
}

TEST_CASE("a task that exits leaves its chunk to the nursery", "[worker]") {
  OneChunk chunk(&exits);
  CHECK_THROWS_AS(chunk.run(), launch::ExitRequest);
  CHECK(chunk.phase() == Phase::Claimed);
}

}  // namespace worker_test
