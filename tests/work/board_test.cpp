// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/board.hpp>

#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace board_test {

using namespace multiprocessing::work;
namespace shm = multiprocessing::shm;
namespace base = multiprocessing::base;
using Phase = ChunkWord::Phase;

namespace {

constexpr shm::Offset kWords = std::uint64_t{1} << 20;
constexpr shm::Offset kRecord = std::uint64_t{2} << 20;

/// A board with one slot in use, filled by hand.
class OneJob {
 public:
  OneJob() : segment_("test", std::uint64_t{4} << 20, std::uint64_t{4} << 20) {
    segment_.commit({4096, segment_.size() - 4096});
    board_ = new (segment_.data(4096)) Board;
    new (segment_.data(kRecord)) JobRecord;
  }

  void publish(std::uint32_t generation, std::uint32_t chunks) {
    auto* const words = segment_.at<AtomicChunkWord>(kWords);
    for (std::uint32_t i = 0; i < chunks; ++i) {
      words[i].store(ChunkWord{generation, 0, Phase::Free}.pack(), std::memory_order_relaxed);
    }
    auto& slot = board_->slots[0];
    slot.chunk_count.store(chunks, std::memory_order_release);
    slot.words.store(kWords, std::memory_order_release);
    slot.record.store(kRecord, std::memory_order_release);
    slot.cursor.store(std::uint64_t{generation} << 32);
    slot.generation.store(generation, std::memory_order_release);
    board_->active.fetch_or(1);
  }
  void retire() {
    board_->active.fetch_and(~std::uint64_t{1});
    board_->slots[0].generation.store(0);
  }
  ChunkWord word(std::uint32_t chunk) const {
    return ChunkWord::unpack(segment_.at<AtomicChunkWord>(kWords)[chunk].load());
  }
  bool all_settled(std::uint32_t chunks) const {
    for (std::uint32_t i = 0; i < chunks; ++i) {
      if (!word(i).settled()) return false;
    }
    return true;
  }

  Board& board() { return *board_; }
  shm::Segment const& segment() const { return segment_; }

 private:
  shm::Segment segment_;
  Board* board_;
};

}  // namespace

TEST_CASE("chunks are claimed in order, each by one worker", "[board]") {
  OneJob job;
  CHECK_FALSE(job.board().claim(job.segment(), 0));
  job.publish(1, 3);
  CHECK(job.board().has_work(job.segment()));
  for (std::uint32_t i = 0; i < 3; ++i) {
    auto const claim = job.board().claim(job.segment(), static_cast<WorkerNumber>(i + 5));
    REQUIRE(claim);
    CHECK(claim->chunk == i);
    CHECK(job.word(i).worker == i + 5);
    CHECK(job.word(i).phase == Phase::Claimed);
  }
  CHECK_FALSE(job.board().claim(job.segment(), 0));
  CHECK_FALSE(job.board().has_work(job.segment()));
}

TEST_CASE("a claimer that died before it moved the cursor holds up nobody", "[board]") {
  OneJob job;
  job.publish(1, 2);
  // as a worker leaves it that is killed right behind its compare-and-swap
  job.segment().at<AtomicChunkWord>(kWords)[0].store(ChunkWord{1, 9, Phase::Claimed}.pack());
  auto const claim = job.board().claim(job.segment(), 1);
  REQUIRE(claim);
  CHECK(claim->chunk == 1);
}

TEST_CASE("a worker that looked at an old job gets nothing of the next", "[board]") {
  OneJob job;
  job.publish(1, 1);
  JobView old;
  job.board().for_each_job(job.segment(), [&](JobView const& view) { old = view; });
  job.retire();
  job.publish(2, 1);
  std::uint64_t expected = ChunkWord{old.generation, 0, Phase::Free}.pack();
  CHECK_FALSE(old.words[0].compare_exchange_strong(expected, 0));
  CHECK(old.next_chunk(old.slot->cursor.load()) == old.chunk_count);  // nothing left of it
}

TEST_CASE("workers and owner agree on every chunk of many jobs", "[board][threads][stress]") {
  OneJob job;
  constexpr int kWorkers = 3;
  auto const jobs =
      static_cast<std::uint32_t>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000) / 20);
  constexpr std::uint32_t kChunks = 7;
  std::vector<std::atomic<int>> runs(kChunks);
  std::vector<std::thread> workers;
  for (WorkerNumber number = 0; number < kWorkers; ++number) {
    workers.emplace_back([&, number] {
      multiprocessing::sync::AdaptiveSpin spin;
      auto& board = job.board();
      for (;;) {
        bool const closing = board.phase.load() != Board::Phase::Open;
        if (auto const claim = board.claim(job.segment(), number)) {
          ++runs[claim->chunk];
          Board::settle(*claim, number, Phase::Done);
        } else if (closing) {
          return;
        } else {
          board.idle.await(
              board.tasks.searcher, number,
              [&] {
                return board.phase.load() != Board::Phase::Open || board.has_work(job.segment());
              },
              spin);
        }
      }
    });
  }
  multiprocessing::sync::AdaptiveSpin spin;
  for (std::uint32_t generation = 1; generation <= jobs; ++generation) {
    job.publish(generation, kChunks);
    job.board().idle.wake_all();
    static_cast<void>(job.board().slots[0].settled.await([&] { return job.all_settled(kChunks); },
                                                         base::Deadline::never(), spin));
    job.retire();
  }
  job.board().phase = Board::Phase::Closing;
  job.board().idle.wake_everybody();
  for (auto& worker : workers) worker.join();
  for (auto const& count : runs) CHECK(count == static_cast<int>(jobs));
}

}  // namespace board_test
