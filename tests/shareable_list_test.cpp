// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shareable_list.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/queue.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/memory_name.hpp"
#include "support/scenes.hpp"
#include "support/start_methods.hpp"

namespace shareable_list_test {

namespace mp = multiprocessing;
using mp::ShareableList;
using mp::ShareableValue;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::unused_name;

namespace {

std::string text_of(auto const& what) {
  std::ostringstream out;
  out << what;
  return out.str();
}

}  // namespace

TEST_CASE("values come back as they were put", "[shareable_list]") {
  std::string const with_nuls("ab\0\0", 4);
  mp::Bytes const bytes{std::byte{1}, std::byte{0}, std::byte{0}};
  ShareableList const list{1,        -2.5,  "text",    true,        false,
                           mp::none, bytes, with_nuls, "žluťoučký", ""};
  CHECK(list.size() == 10);
  CHECK(list[0] == 1);
  CHECK(list[1] == -2.5);
  CHECK(list[2] == "text");
  CHECK(list[3] == true);
  CHECK(list[4] == false);
  CHECK(list[5] == mp::none);
  CHECK(list[6] == bytes);
  CHECK(list[7] == with_nuls);
  CHECK(list[8] == "žluťoučký");
  CHECK(list[9] == "");
  CHECK(list.copy() == std::vector<ShareableValue>(list.begin(), list.end()));
}

TEST_CASE("an empty list is a list", "[shareable_list]") {
  ShareableList const list(std::vector<ShareableValue>{});
  CHECK(list.empty());
  CHECK(list.begin() == list.end());
  CHECK(text_of(list) == "ShareableList([], name='')");
}

TEST_CASE("a slot takes any value that it has room for", "[shareable_list]") {
  ShareableList const list{mp::none, "0123456789", 7};
  list[0] = std::numeric_limits<std::int64_t>::min();
  CHECK(list[0] == std::numeric_limits<std::int64_t>::min());
  list[0] = 2.5;
  CHECK(list[0] == 2.5);
  list[0] = "12345678";
  CHECK(list[0] == "12345678");
  list[1] = std::string(16, 'x');  // in steps of eight
  list[2] = list[0];
  CHECK(list[2] == "12345678");
  CHECK(support::message_of<std::invalid_argument>([&] { list[1] = std::string(17, 'x'); }) ==
        "ShareableList: 17 bytes exceed the 16 that there are at index 1");
  CHECK_THROWS_AS(list[0] = "žluťouč", std::invalid_argument);  // seven letters, ten bytes
  CHECK(list.copy() == std::vector<ShareableValue>{"12345678", std::string(16, 'x'), "12345678"});
}

TEST_CASE("a value is taken as what it is", "[shareable_list]") {
  ShareableList const list{300, 2.5, "text", true};
  CHECK(list[0].get<int>() == 300);
  CHECK(list[0].get<std::uint16_t>() == 300);
  CHECK(list[1].get<double>() == 2.5);
  CHECK(list[2].get<std::string>() == "text");
  CHECK(list[3].get<bool>());
  CHECK(support::message_of<mp::TypeError>([&] { list[2].get<int>(); }) ==
        "ShareableList: 'text' at index 2 is no int");
  CHECK_THROWS_AS(list[0].get<std::int8_t>(), mp::TypeError);
  CHECK_THROWS_AS(list[0].get<double>(), mp::TypeError);
  CHECK_THROWS_AS(list[3].get<int>(), mp::TypeError);
}

TEST_CASE("slots that are not there are refused", "[shareable_list]") {
  ShareableList const list{1, 2};
  CHECK(support::message_of<std::out_of_range>([&] { static_cast<void>(list[2]); }) ==
        "ShareableList: the index 2 is not below the size 2");
  CHECK_THROWS_AS(list.at(2), std::out_of_range);
  CHECK_THROWS_AS(list.get(2), std::out_of_range);
  CHECK_THROWS_AS(list.set(2, 1), std::out_of_range);
}

TEST_CASE("values are counted and found", "[shareable_list]") {
  ShareableList const list{1, "a", 1, 1.0};
  CHECK(list.count(1) == 2);
  CHECK(list.count(2) == 0);
  CHECK(list.index(1.0) == 3);
  CHECK(support::message_of<std::invalid_argument>([&] { list.index("b"); }) ==
        "ShareableList.index: 'b' is not in the list");
}

TEST_CASE("it is printed as Python prints it", "[shareable_list]") {
  ShareableList const list{
      1,    2.5,   1.0,      0.1 + 0.2, "it's", mp::Bytes{std::byte{0}, std::byte{0xff}},
      true, false, mp::none, "\n"};
  CHECK(text_of(list) ==
        "ShareableList([1, 2.5, 1.0, 0.30000000000000004, 'it\\'s', b'\\x00\\xff', True, False, "
        "None, '\\n'], name='')");
  CHECK(text_of(list[4]) == "'it\\'s'");
}

TEST_CASE("a list with a name is found by it, and copies are the same list", "[shareable_list]") {
  auto const name = unused_name();
  ShareableList const list({1, 2}, {.name = name});
  ShareableList const attached({.name = name});
  auto const copy = attached;
  CHECK(copy == list);
  copy[1] = 3;
  CHECK(list[1] == 3);
  CHECK_FALSE(ShareableList{1, 3} == list);
  CHECK(text_of(list).find("name='" + name) != std::string::npos);
  list.shm().unlink();
  CHECK_THROWS_AS(ShareableList({.name = name}), std::system_error);
}

TEST_CASE("what is no list is not taken for one", "[shareable_list]") {
  auto const message = [](mp::SharedMemory const& memory) {
    return support::message_of<mp::Error>([&] { ShareableList{memory}; });
  };
  auto const no_list = "ShareableList: what is in SharedMemory \"\" is no list";
  CHECK(message(mp::SharedMemory({.create = true, .size = 4})) == no_list);
  CHECK(message(mp::SharedMemory({.create = true, .size = 4096})) == no_list);
  // The number of slots, the mutex's kind, and where each slot's room is.
  ShareableList const list{1, 2};
  auto* const words = list.shm().as<std::uint64_t>().data();
  constexpr auto kSlots = sizeof(mp::shareable_list_detail::Header) / sizeof *words;
  for (auto const word : {std::size_t{1}, std::size_t{4}, kSlots + 1, kSlots + 2, kSlots + 4}) {
    for (auto const value : {UINT64_MAX, UINT64_MAX / 2, std::uint64_t{8}}) {
      auto const before = std::exchange(words[word], value);
      if (value != before) CHECK(message(list.shm()) == no_list);
      words[word] = before;
    }
  }
  CHECK(ShareableList(list.shm()) == list);
}

TEST_CASE("a list that is damaged while it is used harms nobody", "[shareable_list]") {
  ShareableList const list{1, 2};
  auto* const words = list.shm().as<std::uint64_t>().data();
  constexpr auto kSlots = sizeof(mp::shareable_list_detail::Header) / sizeof *words;
  words[1] = 1'000'000;         // slots
  words[kSlots + 1] = 1 << 30;  // the first one's room
  words[kSlots + 2] = 1 << 30;
  CHECK(list.size() == 2);
  CHECK(list[0] == 1);
  CHECK_THROWS_AS(list.get(2), std::out_of_range);
  words[kSlots] |= (std::uint64_t{1} << 56) - 1;  // longer than its room
  CHECK(support::message_of<mp::Error>([&] { list.get(0); }) == "ShareableList: a slot is damaged");
  list[0] = 3;
  CHECK(list[0] == 3);
  words[2] = 0x3FFFFFFF;  // locked by a thread that can not be
  CHECK(support::message_of<mp::Error>([&] { list.get(0); }) ==
        "ShareableList: it is damaged: who has locked it does not exist");
}

TEST_CASE("slots are compared, swapped, and given each other's values", "[shareable_list]") {
  ShareableList const list{"left", "right", "left"};
  CHECK(list[0] == list[2]);
  CHECK(list[0] != list[1]);
  swap(list[0], list[1]);
  CHECK(list.copy() == std::vector<ShareableValue>{"right", "left", "left"});
}

TEMPLATE_TEST_CASE("a child changes it, and it goes in messages", "[shareable_list]", ByFork,
                   BySpawn, ByForkServer) {
  ShareableList const list{1, "text"};
  mp::Queue<ShareableList> queue;
  auto const status = TestType::run(
      [](ShareableList const& its, mp::Queue<ShareableList> const& back) {
        its[0] = 2;
        back.put(ShareableList{"made by a child"});
      },
      list, queue);
  CHECK(status.exitcode() == 0);
  CHECK(list[0] == 2);
  CHECK(queue.get()[0] == "made by a child");
}

TEST_CASE("bytes carry its name, however large it is", "[shareable_list]") {
  auto const name = unused_name();
  ShareableList const list({std::string(10'000, 'x')}, {.name = name});
  auto const bytes = mp::dumps(list);
  CHECK(bytes.size() < 100 + name.size());
  CHECK(mp::loads<ShareableList>(bytes) == list);
  list.shm().unlink();
  CHECK_THROWS_AS(mp::loads<ShareableList>(bytes), std::system_error);
}

TEST_CASE("nobody sees half a change", "[shareable_list][threads]") {
  ShareableList const list{std::string(1000, 'a'), 0};
  std::atomic<bool> over{false};
  std::thread writer([&] {
    for (int round = 0; !over; ++round) {
      list[0] = std::string(1000 - static_cast<std::size_t>(round % 9), "ab"[round % 2]);
    }
  });
  bool is_whole = true;
  for (int i = 0; i < 2000; ++i) {
    auto const text = list[0].get<std::string>();
    is_whole =
        is_whole && text.size() > 990 && text.find_first_not_of(text[0]) == std::string::npos;
  }
  over = true;
  writer.join();
  CHECK(is_whole);
}

TEST_CASE("a value is changed, or not, at whichever step its writer is killed",
          "[shareable_list]") {
  struct Change : support::Scene {
    ShareableList list{std::string(100, 'a'), 1};
    void victim() { list[0] = std::string(90, 'b'); }
    void check() {
      auto const text = list[0].get<std::string>();
      REQUIRE((text == std::string(100, 'a') || text == std::string(90, 'b')));
      list[0] = "c";  // nobody has to wait for the dead
      REQUIRE(list[0] == "c");
      REQUIRE(list[1] == 1);
    }
  };
  CHECK(support::kill_at_every_step(support::stride(1), [] { return Change(); }) > 1);
}

}  // namespace shareable_list_test
