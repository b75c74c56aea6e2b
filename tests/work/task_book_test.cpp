// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_book.hpp>

#include <unistd.h>

#include <new>
#include <string>
#include <vector>

#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"

namespace task_book_test {

namespace mp = multiprocessing;
using namespace multiprocessing::work;
using support::TaskTable;
using support::used_blocks;
using Phase = ChunkWord::Phase;

namespace {

constexpr std::size_t kTooLong = TaskDraft::kMostWithoutBlock + 1;

/// What a worker keeps for the owner, in a block.
void keep_large(TaskContext const& context) {
  std::string const text(kTooLong, 'r');
  context.keep(support::bytes_of(text), {});
}

}  // namespace

TEST_CASE("a draft has a block where the input is too large for the task, or has company",
          "[task_book]") {
  std::string const text(kTooLong, 'x');
  auto const bytes = support::bytes_of(text);
  CHECK(TaskDraft::of(0, bytes.first(kTooLong - 1), {}).block.lease == nullptr);
  CHECK(TaskDraft::of(0, bytes, {}).block.lease != nullptr);
  mp::wire::Parcel parcel;
  mp::wire::Bytes message;
  mp::wire::encode(message, mp::RawValue<int>(1), parcel);
  CHECK(TaskDraft::of(0, message, parcel).block.lease != nullptr);
}

TEST_CASE("a task that is put up has what its draft says", "[task_book]") {
  TaskTable table;
  TaskDraft draft = TaskDraft::of(7, support::bytes_of("input"), {});
  draft.terms.retries = 3;
  draft.terms.retry_on = multiprocessing::RetryOn::timeout;
  draft.terms.timeout_ms = 1000;
  draft.terms.grace_ms = 20;
  draft.terms.backoff_ms = 30;
  draft.terms.tells_all = true;
  auto const id = table.book().publish(draft);
  auto const& task = table.entry(id);
  CHECK(id.generation != 0);
  CHECK(task.read().generation == id.generation);
  CHECK(table.phase(id) == Phase::Free);
  CHECK(task.code == 7);
  CHECK(task.retries == 3);
  CHECK(task.failures == 0);
  CHECK(table.annex(id).deaths == 0);
  CHECK(task.may_be_retried_after(multiprocessing::RetryOn::timeout));
  CHECK(!task.may_be_retried_after(multiprocessing::RetryOn::crash));
  CHECK(task.timeout_ms == 1000);
  CHECK(table.annex(id).grace_ms == 20);
  CHECK(table.annex(id).backoff_ms == 30);
  CHECK((task.flags & TaskEntry::kTellAll) != 0);
  CHECK(support::text_of(table.tasks().input(table.segment(), table.entry(id))) == "input");
}

TEST_CASE("the entry of a task that is over is used again, under another name", "[task_book]") {
  TaskTable table;
  auto const first = table.publish(std::string(kTooLong, 'x'));
  table.claim(0);
  table.entry(first).failures = 2;
  table.settle(first, 0);
  table.book().release(first);
  auto const second = table.publish("x");
  CHECK(second.index == first.index);
  CHECK(second.generation != first.generation);
  auto const& task = table.entry(second);
  CHECK(task.failures == 0);
  CHECK(task.flags == TaskEntry::kHasAnnex);  // that stays
  CHECK(task.result_bytes == 0);
  CHECK(table.result_block(second) == 0);
  CHECK(table.input_block(second) == 0);
}

TEST_CASE("a task with a timeout has no grace that was another one's", "[task_book]") {
  TaskTable table;
  auto const publish = [&](std::uint32_t grace_ms) {
    auto draft = TaskDraft::of(0, {}, {});
    draft.terms.timeout_ms = 1000;
    draft.terms.grace_ms = grace_ms;
    return table.book().publish(draft);
  };
  auto const first = publish(20);
  table.claim(0);
  table.settle(first, 0);
  table.book().release(first);
  auto const second = publish(0);
  REQUIRE(second.index == first.index);
  CHECK(table.annex(second).grace_ms == 0);
}

TEST_CASE("a task for which there is no memory leaves its entry to the next one", "[task_book]") {
  support::RawChild child([] {
    TaskTable table;
    auto const first = table.publish();
    table.tasks().settle(table.entry(first), {first.generation, 0, Phase::Free}, Phase::Dropped);
    table.book().release(first);
    ::close(table.segment().fd().get());  // so there is none for an annex
    auto draft = TaskDraft::of(0, {}, {});
    draft.terms.retries = 1;
    try {
      table.book().publish(draft);
      return 1;
    } catch (std::exception const&) {
    }
    return table.publish().index == first.index ? 0 : 2;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("a generation that has come round leaves out the 0 of no task", "[task_book]") {
  TaskTable table;
  auto const id = table.publish();
  table.entry(id).word = ChunkWord{UINT32_MAX, 0, Phase::Done}.pack();
  table.book().release(id);
  CHECK(table.publish().generation == 1);
}

TEST_CASE("the entry of a task that nobody asks for is used again once that is over",
          "[task_book]") {
  TaskTable table;
  auto const abandoned = table.publish();
  table.book().release(abandoned);
  auto const other = table.publish();
  CHECK(other.index != abandoned.index);
  REQUIRE(table.claim(0) == abandoned);
  table.settle(abandoned, 0);
  CHECK(table.publish().index == abandoned.index);
}

TEST_CASE("the block of an input is given back when it has been run, of a result with the task",
          "[task_book]") {
  TaskTable table;
  auto const before = used_blocks();
  auto const id = table.publish(&keep_large, support::bytes_of(std::string(kTooLong, 'x')));
  CHECK(used_blocks() == before + 1);
  REQUIRE(table.run_one());
  REQUIRE(table.phase(id) == Phase::Done);
  CHECK(used_blocks() == before + 1);
  CHECK(table.result(id).size() == kTooLong);
  table.book().release(id);
  CHECK(used_blocks() == before);
}

TEST_CASE("blocks of what nobody asks for are given back by later tasks", "[task_book]") {
  TaskTable table;
  auto const before = used_blocks();
  auto const id = table.publish(&keep_large, support::bytes_of(std::string(kTooLong, 'x')));
  table.book().release(id);
  REQUIRE(table.run_one());
  CHECK(used_blocks() == before + 1);
  table.publish();
  CHECK(used_blocks() == before);
}

TEST_CASE("blocks of all tasks are given back with the book", "[task_book]") {
  auto const before = used_blocks();
  {
    TaskTable table;
    for (int i = 0; i < 3; ++i) {
      table.publish(&keep_large, support::bytes_of(std::string(kTooLong, 'x')));
    }
    REQUIRE(table.run_one());
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("more tasks than there is room for are refused, and change nothing", "[task_book]") {
  TaskTable table(8);
  auto const before = used_blocks();
  std::vector<TaskId> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(table.publish());
  CHECK_THROWS_AS(table.publish(std::string(kTooLong, 'x')), std::bad_alloc);
  CHECK(used_blocks() == before);
  // Claimed: the ring has room, but no entry is free.
  for (int i = 0; i < 8; ++i) REQUIRE(table.claim(0) == ids[static_cast<std::size_t>(i)]);
  CHECK_THROWS_AS(table.publish(), std::bad_alloc);
  table.settle(ids[3], 0);
  table.book().release(ids[3]);
  CHECK(table.publish().index == ids[3].index);
}

TEST_CASE("a full ring has room again where its next tasks were given up", "[task_book]") {
  TaskTable table(8);
  std::vector<TaskId> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(table.publish());
  for (int i = 0; i < 2; ++i) {
    auto const id = ids[static_cast<std::size_t>(i)];
    table.tasks().settle(table.entry(id), {id.generation, 0, Phase::Free}, Phase::Dropped);
    table.book().release(id);
  }
  table.publish();
  table.publish();
  CHECK_THROWS_AS(table.publish(), std::bad_alloc);
  CHECK(table.claim(0) == ids[2]);
}

TEST_CASE("the entry of a task that was taken from a worker stays until that has been replaced",
          "[task_book]") {
  // Until it is killed, it may write a result there.
  for (auto const phase : {Phase::Dropped, Phase::Late}) {
    TaskTable table;
    auto const before = used_blocks();
    auto const taken = table.publish(std::string(kTooLong, 'x'));
    REQUIRE(table.claim(3) == taken);
    REQUIRE(table.settle(taken, 3, phase));
    table.book().release(taken);
    CHECK(used_blocks() == before + 1);  // it may still read
    CHECK(table.publish().index != taken.index);
    table.page(3) = 0;
    CHECK(table.publish().index == taken.index);
    CHECK(used_blocks() == before);
  }
}

TEST_CASE("a task that was given up before any worker had it is over at once", "[task_book]") {
  TaskTable table;
  auto const id = table.publish();
  table.tasks().settle(table.entry(id), {id.generation, 0, Phase::Free}, Phase::Dropped);
  table.book().release(id);
  CHECK(table.publish().index == id.index);
}

TEST_CASE("a result that a worker has named, and lost when it was killed, is nobody else's",
          "[task_book]") {
  TaskTable table;
  auto const before = used_blocks();
  auto const id = table.publish();
  REQUIRE(table.claim(0) == id);
  auto& arena = mp::shm::Heap::instance().arena();
  mp::shm::Number block = 0;
  {
    mp::shm::Lease const lost(100);
    block = lost.block();
    table.entry(id).result_bytes = TaskEntry::kInBlock;
    AnnexMaker().annex_of(table.segment(), table.tasks(), table.entry(id)).result_id = lost.id();
  }
  {
    mp::shm::Lease const another(100);  // in the same block
    REQUIRE(another.block() == block);
    arena.give(block, table.tasks().anchor);
  }
  table.settle(id, 0, Phase::Dropped);
  table.page(0) = 0;
  table.book().release(id);
  CHECK(used_blocks() == before + 1);
  arena.disown(block);
  CHECK(used_blocks() == before);
}

}  // namespace task_book_test
