// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/frame.hpp>

#include <array>

#include "../support/catch.hpp"

namespace frame_test {

using namespace multiprocessing::channel;

TEST_CASE("a header holds what it is made of", "[frame]") {
  alignas(kUnit) std::array<std::byte, 2 * kUnit> memory{};
  CHECK(Header::load(memory.data()).form() == Form::Nothing);
  for (auto const form : {Form::Inline, Form::InBlock, Form::Jump}) {
    for (unsigned flags = 0; flags < 8; ++flags) {
      Content const content{(flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0};
      for (std::uint64_t const size : {0ULL, 1ULL, 8192ULL, (1ULL << 56) - 1}) {
        Header::of(form, content, size).store(memory.data());
        auto const header = Header::load(memory.data());
        CHECK(header.form() == form);
        CHECK(header.size() == size);
        CHECK(header.content().is_bytes == content.is_bytes);
        CHECK(header.content().is_typed == content.is_typed);
        CHECK(header.content().has_references == content.has_references);
      }
    }
  }
  CHECK(memory[kUnit] == std::byte{});
  Header().store(memory.data());
  CHECK(Header::load(memory.data()).form() == Form::Nothing);
}

TEST_CASE("frames are whole units", "[frame]") {
  CHECK(units(0) == 0);
  CHECK(units(1) == 1);
  CHECK(units(8) == 1);
  CHECK(units(9) == 2);
}

TEST_CASE("progress counts messages and keeps the place", "[frame]") {
  Progress const begin(0);
  CHECK(begin.count() == 0);
  CHECK(begin.unit() == 0);
  auto const next = begin.past(5).past(7);
  CHECK(next.count() == 2);
  CHECK(next.unit() == 12);
  CHECK(Progress(next.word()).unit() == 12);
}

TEST_CASE("counts may wrap around", "[frame]") {
  Progress const last(Progress::kCounts - 1, 3);
  auto const next = last.past(4);
  CHECK(next.count() == 0);
  CHECK(next.unit() == 7);
  CHECK(messages_between(last.count(), next.count()) == 1);
  CHECK(messages_between(Progress::kCounts - 2, 5) == 7);
  CHECK(messages_between(4, 4) == 0);
  CHECK(messages_between(5, 4) == 0);
}

}  // namespace frame_test
