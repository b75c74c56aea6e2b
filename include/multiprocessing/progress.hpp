// SPDX-License-Identifier: BSL-1.0
// A bar on the terminal for a loop over a range.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <multiprocessing/base/compiler.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/os/terminal.hpp>

namespace multiprocessing {

/// Python: the arguments of tqdm: total, desc, disable, file.
struct ProgressOptions {
  /// How many items there are; by default what the range says of its size. Unknown, or exceeded:
  /// no bar, but how many there were and how fast.
  std::optional<std::uint64_t> total = std::nullopt;
  std::string label = {};  ///< in front of the bar
  /// Whether anything is drawn; by default where `fd` is of a terminal.
  std::optional<bool> enabled = std::nullopt;
  int fd = STDERR_FILENO;
};

namespace progress_detail {

using Clock = std::chrono::steady_clock;

/// What the bar is made of: whole characters, and one that is partly full.
enum class Glyphs { ascii, blocks };

inline Glyphs glyphs_of(std::string_view locale) noexcept {
  for (std::string_view const name : {"UTF-8", "utf-8", "UTF8", "utf8"}) {
    if (locale.find(name) != std::string_view::npos) return Glyphs::blocks;
  }
  return Glyphs::ascii;
}
/// Of the variables that say it, the first that is set and not empty decides.
inline Glyphs glyphs_of_environment() noexcept {
  for (char const* const variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    char const* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return glyphs_of(value);
  }
  return Glyphs::ascii;
}

/// All that a line is made from.
struct Look {
  std::string_view label = {};
  std::uint64_t count = 0;
  std::optional<std::uint64_t> total = std::nullopt;
  std::chrono::nanoseconds elapsed{0};
  std::size_t columns = 80;  ///< the longest that it may be
  Glyphs glyphs = Glyphs::ascii;
};

// UTF-8: every byte but the first of a character begins with 10.
inline bool begins_character(char byte) noexcept { return (byte & 0xc0) != 0x80; }
inline std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}
inline std::string cut(std::string text, std::size_t columns) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && ++width > columns) {
      text.resize(i);
      break;
    }
  }
  return text;
}

/// "02:03", "1:02:03"
inline std::string clock_text(double seconds) {
  constexpr double kMost = 1e15;  // what an integer holds; some 30 million years
  auto const all = static_cast<long long>(std::min(seconds, kMost));
  char text[32];
  if (all < 3600) {
    std::snprintf(text, sizeof text, "%02lld:%02lld", all / 60, all % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", all / 3600, all / 60 % 60, all % 60);
  }
  return text;
}

/// Items a second; below one, seconds an item. 0: nobody knows.
inline std::string rate_text(double rate) {
  if (rate == 0) return "?it/s";
  char text[64];
  bool const is_slow = rate < 1;
  std::snprintf(text, sizeof text, "%5.2f%s", is_slow ? 1 / rate : rate, is_slow ? "s/it" : "it/s");
  return text;
}

inline std::string bar(std::uint64_t count, std::uint64_t total, std::size_t columns,
                       Glyphs glyphs) {
  std::size_t const parts = glyphs == Glyphs::blocks ? 8 : 10;  // of a character
  auto const full =
      static_cast<std::size_t>(static_cast<double>(count) / static_cast<double>(total) *
                               static_cast<double>(columns * parts));
  auto const whole = full / parts;
  auto const part = full % parts;
  std::string text;
  if (glyphs == Glyphs::blocks) {
    for (std::size_t i = 0; i < whole; ++i) text += "\u2588";
    // From U+258F, an eighth, down to U+2589, seven of them.
    if (part != 0) text += {'\xe2', '\x96', static_cast<char>(0x90 - static_cast<int>(part))};
  } else {
    text.assign(whole, '#');
    if (part != 0) text += static_cast<char>('0' + static_cast<int>(part));
  }
  text.append(columns - whole - (part != 0 ? 1 : 0), ' ');
  return text;
}

/// Not rounded up: 100 is when all is done.
inline std::uint64_t percent_of(std::uint64_t count, std::uint64_t total) noexcept {
  if (count == total) return 100;
  auto const percent = total > UINT64_MAX / 100 ? count / (total / 100) : count * 100 / total;
  return std::min<std::uint64_t>(percent, 99);
}

/// "label:  50%|#####     | 1/2 [00:01<00:01,  1.00it/s]", as tqdm writes it; rate and what remains
/// are by the average. What does not fit is left out: the bar first, then the end.
inline std::string line_of(Look const& look) {
  auto const seconds = std::chrono::duration<double>(look.elapsed).count();
  auto const rate = seconds > 0 ? static_cast<double>(look.count) / seconds : 0;
  auto const head = look.label.empty() ? std::string() : std::string(look.label) + ": ";
  auto const count = std::to_string(look.count);
  if (!look.total || *look.total == 0 || look.count > *look.total) {
    return cut(head + count + "it [" + clock_text(seconds) + ", " + rate_text(rate) + "]",
               look.columns);
  }
  auto const total = *look.total;
  auto const remaining =
      rate == 0 ? "?" : clock_text(static_cast<double>(total - look.count) / rate);
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3u%%",
                static_cast<unsigned>(percent_of(look.count, total)));
  auto const left = head + percent;
  auto const right = " " + count + "/" + std::to_string(total) + " [" + clock_text(seconds) + "<" +
                     remaining + ", " + rate_text(rate) + "]";
  auto const used = width_of(left) + width_of(right) + 2;
  if (used >= look.columns) return cut(left + right, look.columns);
  return left + "|" + bar(look.count, total, look.columns - used, look.glyphs) + "|" + right;
}

/// Draws. Threads: external synchronization.
class Meter {
 public:
  /// In the label, what would end or overwrite the line becomes a space.
  Meter(ProgressOptions const& options, std::optional<std::uint64_t> total)
      : fd_(options.fd), label_(options.label), total_(total), glyphs_(glyphs_of_environment()) {
    for (char& each : label_) {
      auto const byte = static_cast<unsigned char>(each);
      if (byte < ' ' || byte == 0x7f) each = ' ';
    }
  }
  Meter(Meter const&) = delete;
  Meter& operator=(Meter const&) = delete;
  ~Meter() { finish(); }

  void start() noexcept {
    finish();
    is_open_ = true;
    count_ = 0;
    begun_ = Clock::now();
    draw(begun_);
  }
  void advance() noexcept {
    ++count_;
    auto const now = Clock::now();
    if (now - drawn_ >= kBetween) draw(now);
  }
  /// Draws once more, and ends the line.
  void finish() noexcept {
    if (!is_open_) return;
    draw(Clock::now());
    is_open_ = false;
    os::write_to(fd_, "\n");
  }

 private:
  static constexpr std::chrono::milliseconds kBetween{100};  // tqdm's: what an eye can follow
  static constexpr unsigned kUsualColumns = 80;              // where the terminal does not say

  void draw(Clock::time_point now) noexcept {
    drawn_ = now;
    try {
      auto const said = os::columns_of(fd_);
      auto const columns = said != 0 ? said : kUsualColumns;
      // Not the last: in it some terminals go on to the next line.
      auto const text = line_of({.label = label_,
                                 .count = count_,
                                 .total = total_,
                                 .elapsed = now - begun_,
                                 .columns = columns - 1,
                                 .glyphs = glyphs_});
      auto const width = width_of(text);
      // Spaces over the rest of a longer one: every terminal can do that.
      auto const rest = std::min<std::size_t>(width_, columns - 1);
      os::write_to(fd_, "\r" + text + std::string(rest > width ? rest - width : 0, ' '));
      width_ = width;
    } catch (std::bad_alloc const&) {  // the next time, then
    }
  }

  // constant after construction
  int const fd_;
  std::string label_;
  std::optional<std::uint64_t> const total_;
  Glyphs const glyphs_;

  bool is_open_ = false;  // the line is begun, and not ended
  std::uint64_t count_ = 0;
  Clock::time_point begun_;
  Clock::time_point drawn_;
  std::size_t width_ = 0;  // of what stands there
};

}  // namespace progress_detail

/// The items of a range, for one loop over them, and the bar: see progress(). An input range.
template <std::ranges::input_range Items>
class [[nodiscard]] Progress {
 public:
  /// REQUIRES: not called by users.
  Progress(Items items, ProgressOptions const& options) : items_(std::forward<Items>(items)) {
    if (!options.enabled.value_or(os::is_terminal(options.fd))) return;
    auto total = options.total;
    if constexpr (std::ranges::sized_range<Items>) {
      if (!total) total = static_cast<std::uint64_t>(std::ranges::size(items_));
    }
    meter_ = std::make_unique<progress_detail::Meter>(options, total);
  }

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::ranges::range_value_t<Items>;
    using difference_type = std::ranges::range_difference_t<Items>;

    explicit iterator(Progress* all) : all_(all), place_(std::ranges::begin(all->items_)) {}

    std::ranges::range_reference_t<Items> operator*() const { return *place_; }
    iterator& operator++() {
      ++place_;
      if (all_->meter_ != nullptr) all_->meter_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    /// Ends the line, at the end.
    friend bool operator==(iterator const& i, std::default_sentinel_t) { return i.is_at_end(); }

   private:
    bool is_at_end() const {
      if (place_ != std::ranges::end(all_->items_)) return false;
      if (all_->meter_ != nullptr) all_->meter_->finish();
      return true;
    }

    Progress* all_;
    std::ranges::iterator_t<Items> place_;
  };

  /// Draws the empty bar, then takes the first item. Again: begins anew.
  iterator begin() {
    if (meter_ != nullptr) meter_->start();
    return iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

  auto size() const requires std::ranges::sized_range < std::remove_reference_t<Items>
  const > { return std::ranges::size(std::as_const(items_)); }

 private:
  Items items_;                                    // a reference to what was no temporary
  std::unique_ptr<progress_detail::Meter> meter_;  // null: nothing is drawn
};

/// The items of a range; while they are read, a bar on stderr shows how far it is, where that is a
/// terminal: `for (int x : mp::progress(pool.imap(f, xs), {.total = xs.size()}))` draws
/// `38%|###8      | 380/1000 [00:03<00:06, 99.50it/s]` in one line of the terminal's width. An item
/// counts once its round of the loop is over. Drawn ten times a second at most, when an item is
/// over: a loop that stands still shows no more time. The line ends with the loop, also where that
/// is left early or by an exception (then when what this returned is destroyed).
///
/// A temporary is owned; an `items` that is none has to live as long. The characters are blocks
/// where the environment (LC_ALL, LC_CTYPE, LANG) says UTF-8.
/// Blocks: while the terminal takes no characters (Ctrl-S). Threads: external synchronization; it
/// starts none. Processes: draws in the one that reads. Complexity: a look at the clock an item;
/// nothing where nothing is drawn. Throws: what the range does. Python: none, tqdm is like it
template <std::ranges::input_range Items>
auto progress(Items&& items, ProgressOptions const& options = {}) {
  using Kept = std::conditional_t<std::ranges::view<std::remove_cvref_t<Items>>,
                                  std::remove_cvref_t<Items>, Items>;
  return Progress<Kept>(std::forward<Items>(items), options);
}

}  // namespace multiprocessing
