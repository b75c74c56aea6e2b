// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/channel/lane.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_heap.hpp"

namespace lane_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::channel;
using multiprocessing::sync::this_thread_seated;
namespace shm = multiprocessing::shm;
using namespace std::chrono_literals;
using Outcome = Lane::Outcome;

namespace {

shm::Arena& arena() { return shm::Heap::instance().arena(); }

struct Stage {
  Stage(std::uint64_t block, Lane::Limits limits) : lane(block, 0, limits) {}
  Lane lane;
};
struct Shared : support::InHeap<Stage> {
  explicit Shared(Lane::Limits limits = {}) : InHeap(limits) {}
  Lane& operator*() const { return InHeap::operator->()->lane; }
  Lane* operator->() const { return &InHeap::operator->()->lane; }
};

Outcome put(Lane& lane, std::string_view text, Content content = {}) {
  auto const fill = [&](std::byte* to) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
  };
  return lane.put(this_thread_seated(), content, text.size(), fill, Deadline::never());
}
Outcome put_block(Lane& lane, std::string_view text, std::uint64_t offset = 0) {
  Enclosed const message{
      std::make_shared<shm::Lease const>(offset + text.size(), shm::Content::Any), offset};
  std::memcpy(message.lease->data() + offset, text.data(), text.size());
  return lane.put_block(this_thread_seated(), {}, text.size(), message, Deadline::never());
}

void give(Lane& lane, std::string_view text) { REQUIRE(put(lane, text) == Outcome::Done); }

struct Got {
  Outcome outcome;
  std::string text;
  Content content;
  bool in_block = false;
};
Got get(Lane& lane, bool take = true) {
  Got got{};
  got.outcome = lane.get(
      this_thread_seated(),
      [&](Incoming const& incoming) {
        got.text.assign(reinterpret_cast<char const*>(incoming.bytes.data()),
                        incoming.bytes.size());
        got.content = incoming.content;
        got.in_block = incoming.lease != nullptr;
        return take;
      },
      Deadline::never());
  return got;
}

}  // namespace

TEST_CASE("messages of all sizes come out of a lane in order, with what they are", "[lane]") {
  Shared const lane;
  CHECK(get(*lane).outcome == Outcome::Empty);
  for (std::size_t const size : {0U, 1U, 7U, 8U, 9U, 8191U, 8192U}) {
    CHECK(put(*lane, std::string(size, 'a'), {.is_bytes = size % 2 == 0}) == Outcome::Done);
  }
  CHECK(lane->count() == 7);
  for (std::size_t const size : {0U, 1U, 7U, 8U, 9U, 8191U, 8192U}) {
    CHECK(lane->has_message(this_thread_seated()));
    auto const got = get(*lane);
    CHECK(got.text == std::string(size, 'a'));
    CHECK(got.content.is_bytes == (size % 2 == 0));
    CHECK_FALSE(got.in_block);
  }
  CHECK_FALSE(lane->has_message(this_thread_seated()));
  CHECK(lane->puts() == 7);
}

TEST_CASE("a message in a block of its own stays there, and is the taker's", "[lane]") {
  auto const before = arena().used_blocks();
  {
    Shared const lane;
    CHECK(put_block(*lane, "large", 3) == Outcome::Done);
    CHECK(put(*lane, "small") == Outcome::Done);
    auto const got = get(*lane);
    CHECK(got.text == "large");
    CHECK(got.in_block);
    CHECK(get(*lane).text == "small");
    CHECK(arena().used_blocks() == before + 2);  // the lane and a chunk
    CHECK(put_block(*lane, "goes with the lane") == Outcome::Done);
  }
  CHECK(arena().used_blocks() == before);
}

TEST_CASE("messages that are refused, or whose taker throws, are there for the next one",
          "[lane]") {
  Shared const lane;
  give(*lane, "small");
  REQUIRE(put_block(*lane, "large") == Outcome::Done);
  for (char const* const text : {"small", "large"}) {
    CHECK(get(*lane, false).outcome == Outcome::Refused);
    auto const fail = [](Incoming const&) -> bool { throw std::runtime_error("no"); };
    CHECK_THROWS_AS(static_cast<void>(lane->get(this_thread_seated(), fail, Deadline::never())),
                    std::runtime_error);
    CHECK(get(*lane).text == text);
  }
}

TEST_CASE("a backlog grows over many chunks, and its memory goes back", "[lane]") {
  auto const before = arena().used_blocks();
  {
    Shared const lane;
    constexpr int kMessages = 30'000;
    std::string const padding(1000, 'x');
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < kMessages; ++i) give(*lane, std::to_string(i) + padding);
      CHECK(lane->count() == kMessages);
      for (int i = 0; i < kMessages; ++i) REQUIRE(get(*lane).text == std::to_string(i) + padding);
      CHECK(get(*lane).outcome == Outcome::Empty);
      CHECK(arena().used_blocks() <= before + 3);  // the lane, a chunk, a spare
    }
  }
  CHECK(arena().used_blocks() == before);
}

TEST_CASE("a steady stream uses two chunks in turn", "[lane]") {
  Shared const lane;
  give(*lane, "warm");
  get(*lane);
  auto const before = arena().used_blocks();
  std::string const text(5000, 'x');
  for (int i = 0; i < 1000; ++i) {
    give(*lane, text);
    REQUIRE(get(*lane).text == text);
  }
  CHECK(arena().used_blocks() <= before + 1);
}

TEST_CASE("a lane notes how its sides go", "[lane]") {
  Shared lane;
  for (int i = 0; i < 5; ++i) give(*lane, "x");
  for (int i = 0; i < 3; ++i) REQUIRE(get(*lane).outcome == Outcome::Done);
  CHECK(lane->put_pace().take_run() == 5);
  CHECK(lane->get_pace().take_run() == 3);
}

TEST_CASE("a lane holds as many messages as it may, and no more", "[lane]") {
  Shared const lane({.messages = 3, .chunks = 0, .weight = 0});
  for (int round = 0; round < 3; ++round) {
    for (char const* const text : {"a", "b", "c"}) {
      CHECK(lane->has_room(0));
      CHECK(put(*lane, text) == Outcome::Done);
    }
    CHECK_FALSE(lane->has_room(0));
    CHECK(put(*lane, "d") == Outcome::Full);
    CHECK(put_block(*lane, "d") == Outcome::Full);
    CHECK(get(*lane).text == "a");
    CHECK(put(*lane, "d") == Outcome::Done);
    for (char const* const text : {"b", "c", "d"}) CHECK(get(*lane).text == text);
  }
}

TEST_CASE("a lane holds as many chunks as it may, and goes on when one is emptied", "[lane]") {
  Shared const lane({.messages = 0, .chunks = 4, .weight = 0});
  std::string const text(8000, 'x');
  int held = 0;
  for (int round = 0; round < 3; ++round) {
    while (put(*lane, text) == Outcome::Done) ++held;
    CHECK(held >= 20);
    CHECK_FALSE(lane->has_room(0));
    for (; !lane->has_room(0); --held) REQUIRE(get(*lane).outcome == Outcome::Done);
    CHECK(put(*lane, text) == Outcome::Done);
    ++held;
  }
  for (; held > 0; --held) REQUIRE(get(*lane).text == text);
  CHECK(get(*lane).outcome == Outcome::Empty);
}

TEST_CASE("a lane holds as much in blocks as it may, or one message of any size", "[lane]") {
  Shared const lane({.messages = 0, .chunks = 0, .weight = 1000});
  CHECK(put_block(*lane, std::string(5000, 'x')) == Outcome::Done);
  CHECK_FALSE(lane->has_room(1));
  CHECK(lane->has_room(0));
  CHECK(put_block(*lane, "x") == Outcome::Full);
  CHECK(put(*lane, "x") == Outcome::Done);
  CHECK(get(*lane).text.size() == 5000);
  CHECK(put_block(*lane, std::string(600, 'x')) == Outcome::Done);
  CHECK(put_block(*lane, std::string(600, 'x')) == Outcome::Full);
  CHECK(put_block(*lane, std::string(400, 'x')) == Outcome::Done);
}

TEST_CASE("a closed lane takes nothing, and gives what it has", "[lane]") {
  Shared const lane;
  give(*lane, "last");
  auto const changes = lane->changes();
  lane->close();
  CHECK(lane->changes() != changes);
  CHECK(lane->is_closed());
  CHECK(put(*lane, "late") == Outcome::Closed);
  CHECK(put_block(*lane, "late") == Outcome::Closed);
  CHECK(get(*lane).text == "last");
  CHECK(get(*lane).outcome == Outcome::Closed);
}

TEST_CASE("two lanes in one block keep apart", "[lane]") {
  struct Two {
    explicit Two(std::uint64_t block) : forth(block, 0, {}), back(block, 1, {}) {}
    Lane forth;
    Lane back;
  };
  support::InHeap<Two> const both;
  for (int i = 0; i < 200; ++i) {
    give(both->forth, "forth");
    give(both->back, "back");
    REQUIRE(get(both->back).text == "back");
    REQUIRE(get(both->forth).text == "forth");
  }
}

TEST_CASE("between threads each message arrives once, in its producer's order",
          "[lane][threads][stress]") {
  constexpr int kProducers = 2;
  constexpr int kConsumers = 2;
  Shared const lane({.messages = 100, .chunks = 0, .weight = 0});
  int const each = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 5000));
  std::atomic<int> left{kProducers * each};
  std::array<std::vector<std::pair<int, int>>, kConsumers> seen;
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; ++i) {
        auto const text = std::to_string(p) + ' ' + std::to_string(i) +
                          std::string(static_cast<std::size_t>(i % 500), '.');
        while ((i % 50 == 0 ? put_block(*lane, text) : put(*lane, text)) == Outcome::Full) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (auto& mine : seen) {
    threads.emplace_back([&] {
      while (left > 0) {
        auto const got = get(*lane);
        if (got.outcome != Outcome::Done) {
          std::this_thread::yield();
          continue;
        }
        --left;
        auto const space = got.text.find(' ');
        mine.emplace_back(std::stoi(got.text), std::stoi(got.text.substr(space)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<std::vector<int>> count(kProducers, std::vector<int>(static_cast<std::size_t>(each)));
  for (auto const& mine : seen) {
    std::array<int, kProducers> last{-1, -1};
    for (auto const& [producer, i] : mine) {
      auto const p = static_cast<std::size_t>(producer);
      CHECK(i > last[p]);
      last[p] = i;
      ++count[p][static_cast<std::size_t>(i)];
    }
  }
  for (auto const& one : count) CHECK(one == std::vector<int>(static_cast<std::size_t>(each), 1));
}

}  // namespace lane_test
