// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/job_book.hpp>

#include <new>
#include <set>
#include <vector>

#include "../support/catch.hpp"

namespace job_book_test {

using namespace multiprocessing::work;
namespace shm = multiprocessing::shm;

namespace {

/// A board without processes.
struct Books {
  static constexpr std::uint64_t kPart = std::uint64_t{16} << 20;
  static constexpr std::uint64_t kAll = (3 + Board::kSlots) * kPart;

  shm::Segment segment{"test", kAll, kAll};
  Board& board = make_board();
  JobBook jobs{
      segment, board, {kPart, kPart}, {2 * kPart, kPart}, {3 * kPart, Board::kSlots* kPart}};

  Board& make_board() {
    segment.commit({Board::kPlace, sizeof(Board)});
    return *new (segment.data(Board::kPlace)) Board;
  }
  JobMemory take(std::uint64_t chunks = 4) {
    auto const memory = jobs.take(sizeof(JobRecord), chunks);
    new (segment.data(memory.payload.offset)) JobRecord;
    return memory;
  }
  JobSlot& put_up(JobMemory const& memory, std::uint32_t chunks = 4) {
    return jobs.put_up(memory, chunks, jobs.make_words(memory, chunks));
  }
};

}  // namespace

TEST_CASE("a job that is put up can be claimed, chunk by chunk", "[job_book]") {
  Books books;
  CHECK(!books.board.claim(books.segment, 0));
  auto const memory = books.take();
  books.put_up(memory);
  for (std::uint32_t chunk = 0; chunk < 4; ++chunk) {
    auto const claim = books.board.claim(books.segment, 0);
    REQUIRE(claim);
    CHECK(claim->chunk == chunk);
  }
  CHECK(!books.board.claim(books.segment, 0));
}

TEST_CASE("a job that is over can not be claimed, and its slot is free again", "[job_book]") {
  Books books;
  auto const memory = books.take();
  auto& slot = books.put_up(memory);
  books.jobs.retire(slot, memory);
  CHECK(!books.board.claim(books.segment, 0));
  CHECK(&books.put_up(books.take()) == &slot);
}

TEST_CASE("there are as many slots as the board has, each with a log of its own", "[job_book]") {
  Books books;
  std::vector<std::pair<JobSlot*, JobMemory>> all;
  std::set<shm::Offset> logs;
  while (books.jobs.has_free_slot()) {
    auto const memory = books.take();
    all.emplace_back(&books.put_up(memory), memory);
    logs.insert(books.segment.at<JobRecord>(memory.payload.offset)->log.room.offset);
  }
  CHECK(all.size() == Board::kSlots);
  CHECK(logs.size() == Board::kSlots);
  for (auto const& [slot, memory] : all) books.jobs.retire(*slot, memory);
  CHECK(books.jobs.has_free_slot());
}

TEST_CASE("no two jobs have one generation", "[job_book]") {
  Books books;
  auto const memory = books.take();
  auto const first = books.jobs.make_words(memory, 4);
  auto const second = books.jobs.make_words(memory, 4);
  CHECK(first != 0);
  CHECK(second != 0);
  CHECK(first != second);
}

TEST_CASE("memory that is given back is there for the next job", "[job_book]") {
  Books books;
  auto const first = books.take();
  books.jobs.give_back(first);
  auto const second = books.take();
  CHECK(second.payload.offset == first.payload.offset);
  CHECK(second.words.offset == first.words.offset);
}

TEST_CASE("a job for which there is no memory takes none", "[job_book]") {
  Books books;
  auto const before = books.take();
  books.jobs.give_back(before);
  CHECK_THROWS_AS(books.jobs.take(Books::kAll, 4), std::bad_alloc);
  CHECK_THROWS_AS(books.jobs.take(64, Books::kAll), std::bad_alloc);
  auto const after = books.take();
  CHECK(after.payload.offset == before.payload.offset);
  CHECK(after.words.offset == before.words.offset);
}

}  // namespace job_book_test
