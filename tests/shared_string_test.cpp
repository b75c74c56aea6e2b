// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/shared_string.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"

namespace shared_string_test {

namespace mp = multiprocessing;
using namespace std::string_view_literals;

TEST_CASE("a text is assigned, appended to, read and compared", "[shared_string]") {
  mp::SharedString const text("hello");
  text += " world";
  text.push_back('!');
  CHECK(text.str() == "hello world!");
  CHECK(text.size() == 12);
  CHECK(text == "hello world!");
  CHECK_FALSE(text == "hello");
  CHECK(text < "help");
  CHECK("help" > text);
  CHECK(text.compare("hello") > 0);
  text = "other";
  CHECK(static_cast<std::string>(text) == "other");
  text[0] = 'O';
  text[1] = text[0];
  char const second = text[1];
  CHECK(second == 'O');
  CHECK(text.at(2) == 'h');
  text.insert(0, "in front ");
  text.insert(text.size(), "!");
  text.erase(2, 6);
  CHECK(text == "in OOher!");
  text.erase(2);
  CHECK(text == "in");
  text.resize(4, 'x');
  CHECK(text == "inxx");
  text.resize(1);
  CHECK(text == "i");
  CHECK(text.update([](std::string& its) { return (its += "j").size(); }) == 2);
  text.update([](std::string& its) { its += "k"; });
  CHECK(text == "ijk");
  text.clear();
  CHECK(text.empty());
  text += "x";
  CHECK(text == "x");
  std::ostringstream out;
  out << text;
  CHECK(out.str() == "x");
}

TEST_CASE("a text has any bytes", "[shared_string]") {
  auto const bytes = "a\0b\xff\0"sv;
  mp::SharedString const text(bytes);
  CHECK(text.size() == 5);
  CHECK(text.str() == bytes);
  text += bytes;
  CHECK(text.str() == std::string(bytes) + std::string(bytes));
}

TEST_CASE("a character that is not there is told", "[shared_string]") {
  mp::SharedString const text("ab");
  CHECK(support::message_of<std::out_of_range>([&] { text.at(2); }) ==
        "SharedString.at: there is no index 2 in a text of size 2");
  CHECK_THROWS_AS(text.set(2, 'x'), std::out_of_range);
  CHECK_THROWS_AS(text.insert(3, "x"), std::out_of_range);
  CHECK_THROWS_AS(text.erase(3), std::out_of_range);
  text.erase(2);
  CHECK(text == "ab");
}

TEST_CASE("any changes make what they make of a std::string", "[shared_string]") {
  mp::SharedString const text;
  std::string model;
  std::mt19937 random(5);
  auto const change = [&] {
    std::string const more(random() % 40, static_cast<char>('a' + random() % 26));
    auto const place = random() % (model.size() + 1);
    switch (random() % 7) {
      case 0:
        text = more;
        model = more;
        break;
      case 1:
      case 2:
        text += more;
        model += more;
        break;
      case 3:
        text.insert(place, more);
        model.insert(place, more);
        break;
      case 4:
        text.erase(place, 10);
        model.erase(place, 10);
        break;
      case 5:
        text.resize(place + 5, 'z');
        model.resize(place + 5, 'z');
        break;
      default:
        if (random() % 5 == 0) {
          text.clear();
          model.clear();
        }
    }
  };
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 10; ++i) change();
    REQUIRE(text.str() == model);
    auto const before = model;  // the same, as one change that does not happen in the end
    CHECK_THROWS_AS(text.with([&](auto const&) {
      for (int i = 0; i < 10; ++i) change();
      throw std::runtime_error("no");
    }),
                    std::runtime_error);
    model = before;
    REQUIRE(text.str() == model);
  }
}

TEST_CASE("a text that is full keeps what it has, and goes on", "[shared_string]") {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  mp::SharedString const text({.max_bytes = kBytes});
  std::string model;
  auto const fill = [&] {
    for (;;) {
      text += "some characters";
      model += "some characters";
    }
  };
  CHECK_THROWS_AS(fill(), std::bad_alloc);
  CHECK(model.size() > kBytes * 9 / 10);  // it grows where it is
  CHECK(text.str() == model);
  CHECK_THROWS_AS(text.insert(5, std::string(kBytes, 'x')), std::bad_alloc);
  CHECK_THROWS_AS(text.resize(4 * kBytes), std::bad_alloc);
  CHECK_THROWS_AS(text = std::string(4 * kBytes, 'x'), std::bad_alloc);
  CHECK_THROWS_AS(text.resize(SIZE_MAX), std::bad_alloc);
  CHECK(text.str() == model);
  text.erase(0, 100);
  text.insert(0, "in front");
  CHECK(text.size() == model.size() - 92);
}

TEST_CASE("processes and threads append to one text, and nothing is lost",
          "[shared_string][threads]") {
  mp::SharedString const text;
  auto const append = [](mp::SharedString const& its, char character) {
    for (int i = 0; i < 300; ++i) its += std::string(3, character);
  };
  mp::Process process(append, text, 'p');
  process.start();
  std::vector<std::thread> threads;
  for (char const character : {'a', 'b'}) {
    threads.emplace_back([=] { append(text, character); });
  }
  for (auto& thread : threads) thread.join();
  process.join();
  auto const all = text.str();
  CHECK(all.size() == 3 * 900);
  for (std::size_t place = 0; place < all.size(); place += 3) {
    REQUIRE(all[place] == all[place + 1]);
    REQUIRE(all[place] == all[place + 2]);
  }
}

}  // namespace shared_string_test
