// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/code_table.hpp>

#include <sys/mman.h>

#include <new>
#include <utility>

#include <multiprocessing/errors.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace code_table_test {

namespace mp = multiprocessing;
namespace shm = multiprocessing::shm;
using namespace multiprocessing::work;

namespace {

template <int number>
int returns() {
  return number;
}
using Function = int();

struct Codes {
  static constexpr std::uint64_t kPlaces = 4096;

  shm::Segment segment{"test", kPlaces + CodeTable::kSize, kPlaces + CodeTable::kSize};
  CodeTable table{kPlaces};
  mp::os::ModuleTable modules = mp::os::ModuleTable::now();
  CodeWriter writer{segment, table};
  CodeReader reader{segment, table, modules};
};

}  // namespace

TEST_CASE("a function is found by the number that it has been given", "[code_table]") {
  Codes codes;
  auto const one = codes.writer.number_of(&returns<1>);
  auto const two = codes.writer.number_of(&returns<2>);
  CHECK(one != two);
  CHECK(codes.reader.function<Function>(two)() == 2);
  CHECK(codes.reader.function<Function>(one)() == 1);
}

TEST_CASE("a function keeps its number", "[code_table]") {
  Codes codes;
  auto const first = codes.writer.number_of(&returns<1>);
  codes.writer.number_of(&returns<2>);
  CHECK(codes.writer.number_of(&returns<1>) == first);
}

TEST_CASE("a number is looked for once, found or not by others", "[code_table]") {
  Codes codes;
  auto const number = codes.writer.number_of(&returns<1>);
  REQUIRE(codes.reader.function<Function>(number) == &returns<1>);
  codes.table.place(codes.segment, number).module = 1;  // which nobody has
  CHECK(codes.reader.function<Function>(number) == &returns<1>);
  CodeReader later(codes.segment, codes.table, codes.modules);
  CHECK_THROWS_AS(later.function<Function>(number), mp::UnpicklingError);
}

TEST_CASE("many functions have numbers: pages of the table come as they are needed",
          "[code_table]") {
  Codes codes;
  auto const all = [&]<int... n>(std::integer_sequence<int, n...>) {
    bool right = true;
    CodeNumber const numbers[] = {codes.writer.number_of(&returns<n>)...};
    ((right = right && codes.reader.function<Function>(numbers[n])() == n), ...);
    return right;
  };
  CHECK(all(std::make_integer_sequence<int, 200>()));
}

TEST_CASE("what lies in no module gets no number", "[code_table]") {
  Codes codes;
  auto* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* const nowhere = reinterpret_cast<Function*>(page);
  CHECK_THROWS_AS(codes.writer.number_of(nowhere), mp::PicklingError);
  CHECK(codes.reader.function<Function>(codes.writer.number_of(&returns<1>))() == 1);
  ::munmap(page, 4096);
}

}  // namespace code_table_test
