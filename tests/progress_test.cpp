// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/progress.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/pool.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/tasks.hpp"
#include "support/terminal.hpp"

namespace progress_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using mp::progress_detail::Glyphs;
using mp::progress_detail::line_of;
using support::numbers;

namespace {

/// What `action(fd)` writes to a pipe.
template <class Action>
std::string written_by(Action const& action) {
  support::Pipe pipe;
  action(pipe.writer.get());
  return pipe.drain();
}
/// The last thing that stood in the line.
std::string last_look(std::string const& text) { return text.substr(text.rfind('\r') + 1); }
std::size_t looks(std::string const& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\r'));
}
constexpr auto kNothingYet = " 0/3 [00:00<?, ?it/s]";

}  // namespace

TEST_CASE("a line tells percent, bar, count, time, what remains and rate", "[progress]") {
  CHECK(line_of({.count = 380, .total = 1000, .elapsed = 3819ms, .columns = 50}) ==
        " 38%|###8      | 380/1000 [00:03<00:06, 99.50it/s]");
  CHECK(line_of({.count = 0, .total = 3, .columns = 37}) ==
        "  0%|          | 0/3 [00:00<?, ?it/s]");
  CHECK(line_of({.label = "load", .count = 3, .total = 3, .elapsed = 6s, .columns = 51}) ==
        "load: 100%|##########| 3/3 [00:06<00:00,  2.00s/it]");
  CHECK(line_of({.count = 1, .total = 3, .elapsed = 3723s, .columns = 51}) ==
        " 33%|###3      | 1/3 [1:02:03<2:04:06, 3723.00s/it]");
}

TEST_CASE("a line without a total, or past it, tells count and rate", "[progress]") {
  CHECK(line_of({.count = 0}) == "0it [00:00, ?it/s]");
  CHECK(line_of({.label = "x", .count = 50, .elapsed = 2s}) == "x: 50it [00:02, 25.00it/s]");
  CHECK(line_of({.count = 4, .total = 3, .elapsed = 2s}) == "4it [00:02,  2.00it/s]");
  CHECK(line_of({.count = 0, .total = 0}) == "0it [00:00, ?it/s]");
}

TEST_CASE("all is 100 percent, and not all is less", "[progress]") {
  auto const percent = [](std::uint64_t count, std::uint64_t total) {
    return line_of({.count = count, .total = total, .elapsed = 1s}).substr(0, 4);
  };
  CHECK(percent(999, 1000) == " 99%");
  CHECK(percent(29, 100) == " 29%");
  CHECK(percent(UINT64_MAX - 1, UINT64_MAX) == " 99%");
  CHECK(percent(UINT64_MAX, UINT64_MAX) == "100%");
}

TEST_CASE("a line is no longer than the terminal is wide", "[progress]") {
  mp::progress_detail::Look look{
      .label = "gr\u00f6\u00dfe", .count = 7, .total = 9, .elapsed = 1s, .glyphs = Glyphs::blocks};
  for (look.columns = 0; look.columns < 120; ++look.columns) {
    CAPTURE(look.columns);
    auto const width = mp::progress_detail::width_of(line_of(look));
    CHECK(width <= look.columns);
    if (look.columns > 50) CHECK(width == look.columns);
  }
  look.columns = 3;
  CHECK(line_of(look) == "gr\u00f6");
  look.columns = 20;
  CHECK(line_of(look) == "gr\u00f6\u00dfe:  77% 7/9 [00:");
}

TEST_CASE("a bar is of blocks where the locale has them", "[progress]") {
  using mp::progress_detail::bar;
  using mp::progress_detail::glyphs_of;
  CHECK(bar(1, 2, 3, Glyphs::blocks) == "\u2588\u258c ");
  CHECK(bar(1, 8, 1, Glyphs::blocks) == "\u258f");
  CHECK(bar(7, 8, 1, Glyphs::blocks) == "\u2589");
  CHECK(bar(2, 2, 2, Glyphs::blocks) == "\u2588\u2588");
  CHECK(bar(1, 2, 3, Glyphs::ascii) == "#5 ");
  CHECK(glyphs_of("de_DE.UTF-8") == Glyphs::blocks);
  CHECK(glyphs_of("C.utf8") == Glyphs::blocks);
  CHECK(glyphs_of("POSIX") == Glyphs::ascii);
}

TEST_CASE("a loop draws its bar on a terminal, and ends the line", "[progress]") {
  support::Terminal const terminal(60);
  int sum = 0;
  for (int const x : mp::progress(numbers(5), {.label = "sum", .fd = terminal.fd()})) sum += x;
  CHECK(sum == 10);
  auto const text = terminal.look();
  CHECK(text.starts_with("\rsum:   0%|"));
  CHECK_THAT(text, ContainsSubstring("\rsum: 100%|") && ContainsSubstring("| 5/5 [00:0"));
  CHECK(text.ends_with("it/s]\r\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("a bar follows the width of its terminal, and leaves nothing of a longer one",
          "[progress]") {
  support::Terminal const terminal(70);
  auto bar = mp::progress(numbers(2), {.fd = terminal.fd()});
  static_cast<void>(bar.begin());
  CHECK(mp::progress_detail::width_of(terminal.look()) == 1 + 69);
  terminal.resize(50);
  { auto const ended = std::move(bar); }
  CHECK(mp::progress_detail::width_of(terminal.look()) == 1 + 49 + 2);
  terminal.resize(0);
  for ([[maybe_unused]] int const x : mp::progress(std::vector<int>(), {.fd = terminal.fd()})) {
  }
  CHECK_THAT(terminal.look(), ContainsSubstring("0it [00:00"));
}

TEST_CASE("nothing is drawn where there is no terminal, unless it is asked for", "[progress]") {
  auto const run = [](std::optional<bool> enabled, int fd) {
    int count = 0;
    for ([[maybe_unused]] int const x : mp::progress(numbers(3), {.enabled = enabled, .fd = fd})) {
      ++count;
    }
    CHECK(count == 3);
  };
  CHECK(written_by([&](int fd) { run({}, fd); }).empty());
  CHECK_THAT(written_by([&](int fd) { run(true, fd); }),
             ContainsSubstring(kNothingYet) && ContainsSubstring("100%|"));
  support::Terminal const terminal;
  run(false, terminal.fd());
  CHECK(terminal.look().empty());
}

TEST_CASE("the line of a loop that is left early ends where it was", "[progress]") {
  auto const left = written_by([](int fd) {
    for (int const x : mp::progress(numbers(10), {.enabled = true, .fd = fd})) {
      if (x == 4) break;
    }
  });
  CHECK_THAT(last_look(left), ContainsSubstring(" 40%|") && ContainsSubstring(" 4/10 ["));
  CHECK(left.ends_with("]\n"));
  auto const thrown = written_by([](int fd) {
    CHECK_THROWS_AS(
        [&] {
          for (int const x : mp::progress(numbers(10), {.enabled = true, .fd = fd})) {
            if (x == 7) throw std::out_of_range("seven");
          }
        }(),
        std::out_of_range);
  });
  CHECK_THAT(last_look(thrown), ContainsSubstring(" 7/10 ["));
  CHECK(thrown.ends_with("]\n"));
  auto const bad = written_by([](int fd) {
    CHECK_THROWS_AS(
        [&] {
          for ([[maybe_unused]] int const x :
               mp::progress(support::OnePass(10, 3), {.enabled = true, .fd = fd})) {
          }
        }(),
        std::runtime_error);
  });
  CHECK_THAT(last_look(bad), ContainsSubstring("2it ["));
  CHECK(bad.ends_with("]\n"));
}

TEST_CASE("a bar that no loop has begun draws nothing", "[progress]") {
  CHECK(written_by([](int fd) {
          auto const bar = mp::progress(numbers(3), {.enabled = true, .fd = fd});
          CHECK(bar.size() == 3);
        }).empty());
}

TEST_CASE("a bar is drawn ten times a second at most", "[progress]") {
  auto const before = std::chrono::steady_clock::now();
  auto const text = written_by([](int fd) {
    for ([[maybe_unused]] int const x :
         mp::progress(numbers(300'000), {.enabled = true, .fd = fd})) {
    }
  });
  auto const tenths = (std::chrono::steady_clock::now() - before) / 100ms;
  CHECK(looks(text) >= 2);
  CHECK(looks(text) <= static_cast<std::size_t>(tenths) + 2);
}

TEST_CASE("a range that knows no size has one that was told", "[progress]") {
  auto const text = written_by([](int fd) {
    for ([[maybe_unused]] int const x :
         mp::progress(support::OnePass(4), {.total = 8, .enabled = true, .fd = fd})) {
    }
  });
  CHECK_THAT(last_look(text), ContainsSubstring(" 50%|") && ContainsSubstring(" 4/8 ["));
}

TEST_CASE("items of any range pass through a bar as they are", "[progress]") {
  std::vector<int> items = numbers(4);
  for (int& x : mp::progress(items)) x *= 2;
  CHECK(items == std::vector{0, 2, 4, 6});
  std::list<int> const constant{1, 2};
  int sum = 0;
  for (int const& x : mp::progress(constant)) sum += x;
  CHECK(sum == 3);
  for (auto& each : mp::progress(std::vector<std::unique_ptr<int>>(2))) {
    CHECK(std::move(each) == nullptr);
  }
  for (int const x : mp::progress(support::Made(3))) sum += x;
  CHECK(sum == 6);
  auto bar = mp::progress(items);
  static_assert(std::ranges::input_range<decltype(bar)>);
  static_assert(std::ranges::sized_range<decltype(bar)>);
  auto const moved = std::move(bar);
  CHECK(moved.size() == 4);
}

TEST_CASE("a pool's results and items are counted", "[progress]") {
  mp::Pool pool(2);
  auto const text = written_by([&](int fd) {
    mp::ProgressOptions const options{.total = 20, .enabled = true, .fd = fd};
    std::vector<int> results;
    auto const items = numbers(20);
    for (int const x : mp::progress(pool.imap(support::square, items), options)) {
      results.push_back(x);
    }
    CHECK(results == support::squares(20));
  });
  CHECK_THAT(last_look(text), ContainsSubstring("100%|") && ContainsSubstring(" 20/20 ["));
  auto const mapped = written_by([&](int fd) {
    CHECK(pool.map(support::square, mp::progress(numbers(9), {.enabled = true, .fd = fd})) ==
          support::squares(9));
    auto lazy = pool.imap(support::square, mp::progress(numbers(9), {.enabled = true, .fd = fd}));
    CHECK(lazy.collect() == support::squares(9));
  });
  CHECK(std::count(mapped.begin(), mapped.end(), '\n') == 2);
}

TEST_CASE("what a label has that would end the line becomes a space", "[progress]") {
  auto const text = written_by([](int fd) {
    for ([[maybe_unused]] int const x :
         mp::progress(numbers(1), {.label = "a\nb\x1b", .enabled = true, .fd = fd})) {
    }
  });
  CHECK(text.starts_with("\ra b :   0%|"));
}

}  // namespace progress_test
