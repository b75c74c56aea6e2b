// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/mpi/record.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"

namespace record_test {

namespace mp = multiprocessing;
using namespace multiprocessing::mpi;
using Kind = RecordHead::Kind;

TEST_CASE("records are read as they were written, one after the other", "[mpi]") {
  mp::wire::Bytes packet;
  write_record(packet, {.kind = Kind::task, .session = 3, .task = {7, 9}, .grace_ms = 5}, "input");
  write_record(packet, {.kind = Kind::quit});
  write_record_of(packet, {.kind = Kind::code}, std::uint64_t{42});
  std::vector<std::pair<Kind, std::string>> seen;
  for_each_record(packet, [&](RecordHead const& head, std::span<std::byte const> body) {
    if (head.kind == Kind::code) CHECK(take_plain<std::uint64_t>(body) == 42);
    if (head.kind == Kind::task) {
      CHECK(head.session == 3);
      CHECK(head.task == mp::work::TaskId{7, 9});
      CHECK(head.grace_ms == 5);
    }
    seen.emplace_back(head.kind, text_in(body));
  });
  CHECK(seen == std::vector<std::pair<Kind, std::string>>{
                    {Kind::task, "input"}, {Kind::quit, ""}, {Kind::code, ""}});
}

TEST_CASE("a packet that ends too early is told", "[mpi]") {
  mp::wire::Bytes packet;
  write_record(packet, {.kind = Kind::task}, "input");
  auto const ignore = [](RecordHead const&, std::span<std::byte const>) {};
  for (std::size_t size = 1; size < packet.size(); ++size) {
    CHECK_THROWS_AS(for_each_record({packet.data(), size}, ignore), mp::Error);
  }
  CHECK_NOTHROW(for_each_record(packet, ignore));
}

}  // namespace record_test
