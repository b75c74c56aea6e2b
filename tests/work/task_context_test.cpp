// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_context.hpp>

#include <cstring>
#include <string>
#include <string_view>

#include <multiprocessing/value.hpp>
#include <multiprocessing/wire/archive.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"

namespace task_context_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::work;
using support::bytes_of;
using support::TaskTable;
using support::text_of;
using support::used_blocks;

namespace {

/// A task that has been claimed, as its code sees it.
struct Claimed {
  TaskTable table;
  mp::os::ModuleTable modules = mp::os::ModuleTable::now();
  mp::os::ForkDetector fork_detector;
  CodeReader codes{table.segment(), table.tasks().codes, modules};
  AnnexMaker annexes;
  TaskId id;

  explicit Claimed(std::string_view input, std::uint16_t retries = 0,
                   wire::Parcel const& parcel = {}) {
    auto draft = TaskDraft::of(0, bytes_of(input), parcel);
    draft.terms.retries = retries;
    id = table.book().publish(draft);
    table.claim(0);
  }
  TaskEntry& task() { return table.entry(id); }
  TaskContext context() {
    return {table.segment(), modules, fork_detector, codes, annexes, table.tasks(), task()};
  }
  std::uint64_t result_block() { return table.result_block(id); }
  std::string result() { return text_of(table.result(id)); }
};

constexpr std::size_t kMost = TaskDraft::kMostWithoutBlock;

std::string text(std::size_t size, char letter) { return std::string(size, letter); }

}  // namespace

TEST_CASE("an input is read where it lies, in the entry, its annex or a block", "[task_context]") {
  for (std::size_t const size : {std::size_t{0}, std::size_t{1}, TaskEntry::kRoom,
                                 TaskEntry::kRoom + 1, kMost, kMost + 1, std::size_t{100'000}}) {
    Claimed claimed(text(size, 'i'));
    CHECK(text_of(claimed.context().input()) == text(size, 'i'));
    CHECK((claimed.table.input_block(claimed.id) == 0) == (size <= kMost));
    CHECK(claimed.context().parcel().empty());
  }
}

TEST_CASE("a result is kept in the entry, its annex or a block that belongs to the board",
          "[task_context]") {
  for (std::size_t const size : {std::size_t{0}, std::size_t{1}, TaskEntry::kRoom,
                                 TaskEntry::kRoom + 1, kMost, kMost + 1, std::size_t{100'000}}) {
    Claimed claimed("input");
    auto const before = used_blocks();
    claimed.context().keep(bytes_of(text(size, 'r')), {});
    bool const in_block = size > kMost;
    CHECK(claimed.result() == text(size, 'r'));
    CHECK(used_blocks() == before + (in_block ? 1 : 0));
    CHECK((claimed.result_block() != 0) == in_block);
    if (in_block) {
      auto const block = mp::shm::Arena::block_of(claimed.result_block());
      auto const& arena = mp::shm::Heap::instance().arena();
      CHECK(arena.owner_of(block) == claimed.table.tasks().anchor);
    }
  }
}

TEST_CASE("a result leaves the input to a later try, where there may be one", "[task_context]") {
  auto const lengths = {
      std::size_t{0}, std::size_t{1}, TaskEntry::kRoom - 1, TaskEntry::kRoom, TaskEntry::kRoom + 1,
      kMost - 1,      kMost};
  for (auto const input_length : lengths) {
    for (auto const result_length : lengths) {
      INFO("input " << input_length << ", result " << result_length);
      auto const input = text(input_length, 'i');
      auto const result = text(result_length, 'r');

      Claimed only_try(input);
      only_try.context().keep(bytes_of(result), {});
      CHECK(only_try.result() == result);
      CHECK(only_try.result_block() == 0);  // it lies over the input

      Claimed first_try(input, 1);
      first_try.context().keep(bytes_of(result), {});
      CHECK(first_try.result() == result);
      CHECK(text_of(first_try.context().input()) == input);

      Claimed last_try(input, 1);
      last_try.task().failures = 1;
      last_try.context().keep(bytes_of(result), {});
      CHECK(last_try.result() == result);
      CHECK(last_try.result_block() == 0);
    }
  }
}

TEST_CASE("a result that does not fit beside its input goes into a block", "[task_context]") {
  Claimed claimed(text(kMost - 16, 'i'), 1);
  claimed.context().keep(bytes_of(text(TaskEntry::kRoom + 1, 'r')), {});
  CHECK(claimed.result_block() != 0);
}

TEST_CASE("a task with a small input and a small result needs no annex", "[task_context]") {
  Claimed claimed(text(TaskEntry::kRoom, 'i'));
  claimed.context().keep(bytes_of(text(TaskEntry::kRoom, 'r')), {});
  CHECK(!claimed.task().has_annex());
}

TEST_CASE("shared objects come along with inputs and results", "[task_context]") {
  auto const before = used_blocks();
  {
    wire::Bytes message;
    wire::Parcel parcel;
    {
      mp::RawValue<int> const value(5);
      wire::encode(message, value, parcel);
    }
    Claimed claimed(text_of(message), 0, parcel);
    auto const context = claimed.context();
    auto input = context.input();
    auto const value = wire::decode<mp::RawValue<int>>(input, context.parcel());
    CHECK(value.value() == 5);
    value = 6;

    wire::Bytes answer;
    wire::Parcel along;
    wire::encode(answer, value, along);
    context.keep(answer, along);
    REQUIRE(claimed.result_block() != 0);
    auto const block = mp::shm::Arena::block_of(claimed.result_block());
    auto bytes = claimed.table.result(claimed.id);
    CHECK(wire::decode<mp::RawValue<int>>(bytes, mp::channel::enclosed_in(block)).value() == 6);
  }
  CHECK(used_blocks() == before);
}

TEST_CASE("a copy of the worker that a task has forked ends where the task returns",
          "[task_context]") {
  Claimed claimed("input");
  auto const context = claimed.context();
  context.end_if_forked();  // the worker itself goes on
  support::RawChild child([&] {
    context.end_if_forked();
    return 3;
  });
  CHECK(child.wait() == 0);
}

}  // namespace task_context_test
