// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/task_code.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/task_table.hpp"

namespace task_code_test {

namespace mp = multiprocessing;
namespace wire = multiprocessing::wire;
using namespace multiprocessing::work;
using support::TaskTable;
using Phase = ChunkWord::Phase;

namespace {

int add(int a, int b) { return a + b; }
std::string join(std::string const& a, std::unique_ptr<std::string> b, char c) {
  return a + *b + c;
}
std::string const& first_of(std::string const& text) { return text; }
int told = 0;
void tell(int x) { told += x; }
int refuse(int x) { throw std::out_of_range("item " + std::to_string(x)); }

/// Puts up what `Code` writes, and runs it in this process.
template <class Code, class... Parts>
TaskId run(TaskTable& table, Parts const&... parts) {
  wire::Bytes bytes;
  wire::Parcel parcel;
  Code::write(bytes, parcel, table.book().codes(), parts...);
  auto draft = TaskDraft::of(table.book().codes().number_of(&Code::run), bytes, parcel);
  auto const id = table.book().publish(draft);
  REQUIRE(table.run_one());
  return id;
}
template <class Result>
Result result_of(TaskTable& table, TaskId id) {
  REQUIRE(table.phase(id) == Phase::Done);
  auto bytes = table.result(id);
  return wire::decode<Result>(bytes);
}

template <class F, class... Args>
auto call(F f, Args const&... args) {
  using Code = CallCode<F, Args...>;
  TaskTable table;
  return result_of<typename Code::Result>(table, run<Code>(table, f, args...));
}
template <class F, class Item>
auto call_each(F f, std::vector<Item> const& items) {
  using Code = ItemsCode<F, Item>;
  TaskTable table;
  auto const id = run<Code>(table, f, items);
  REQUIRE(table.phase(id) == Phase::Done);
  auto bytes = table.result(id);
  auto results = read_many<typename Code::Result>(bytes, {});
  CHECK(bytes.empty());
  return results;
}

}  // namespace

TEST_CASE("a function is called with its arguments, in their order", "[task_code]") {
  CHECK(call(&add, 3, 4) == 7);
  CHECK(call(&join, std::string("a"), std::make_unique<std::string>("b"), 'c') == "abc");
  int by = 10;
  CHECK(call([by](int x, int y) { return by * x - y; }, 3, 4) == 26);
  CHECK(call([] { return std::string(1000, 'x'); }) == std::string(1000, 'x'));
}

TEST_CASE("a plain function takes a few bytes in a task, whatever its name", "[task_code]") {
  TaskTable table;
  wire::Bytes bytes;
  wire::Parcel parcel;
  CallCode<int (*)(int, int), int, int>::write(bytes, parcel, table.book().codes(), &add, 1, 2);
  CHECK(bytes.size() <= sizeof(CodeNumber) + 2 * sizeof(int) + 8);
}

TEST_CASE("a result is what a reference refers to", "[task_code]") {
  CHECK(call(&first_of, std::string("one")) == "one");
  static_assert(std::is_same_v<CallCode<decltype(&first_of), std::string>::Result, std::string>);
}

TEST_CASE("a function that returns nothing has run when its task is done", "[task_code]") {
  TaskTable table;
  told = 0;
  auto const id = run<CallCode<void (*)(int), int>>(table, &tell, 5);
  CHECK(table.phase(id) == Phase::Done);
  CHECK(table.entry(id).result_bytes == 0);
  CHECK(told == 5);
}

TEST_CASE("items are called in order, and all their results are the task's", "[task_code]") {
  CHECK(call_each([](int x) { return x * x; }, std::vector{1, 2, 3}) == std::vector{1, 4, 9});
  CHECK(call_each([](std::string const& s) { return s + "!"; },
                  std::vector<std::string>{"a", "b"}) == std::vector<std::string>{"a!", "b!"});
  CHECK(call_each([](bool b) { return !b; }, std::vector{true, false, true}) ==
        std::vector{false, true, false});
  CHECK(call_each([](int x) { return x; }, std::vector<int>()).empty());
}

TEST_CASE("items that return nothing are all called", "[task_code]") {
  TaskTable table;
  told = 0;
  auto const id = run<ItemsCode<void (*)(int), int>>(table, &tell, std::vector{1, 2, 3});
  CHECK(table.phase(id) == Phase::Done);
  CHECK(told == 6);
}

TEST_CASE("the first item that throws ends its task", "[task_code]") {
  TaskTable table;
  auto const id = run<ItemsCode<int (*)(int), int>>(table, &refuse, std::vector{7, 8});
  REQUIRE(table.phase(id) == Phase::Failed);
  auto bytes = table.result(id);
  auto const record = wire::decode<wire::ExceptionRecord>(bytes);
  CHECK(record.chain.at(0).what == "item 7");
  CHECK(record.chain.at(0).type_name == "std::out_of_range");
}

TEST_CASE("shared objects among the arguments are the caller's", "[task_code]") {
  auto const before = support::used_blocks();
  {
    TaskTable table;
    mp::RawValue<int> const value(1);
    auto set = [](mp::RawValue<int> const& it) {
      it = 2;
      return it;
    };
    using Code = CallCode<decltype(set), mp::RawValue<int>>;
    auto const id = run<Code>(table, set, value);
    REQUIRE(table.phase(id) == Phase::Done);
    CHECK(value.value() == 2);
    table.book().release(id);
  }
  CHECK(support::used_blocks() == before);
}

}  // namespace task_code_test
