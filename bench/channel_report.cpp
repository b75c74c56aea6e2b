// SPDX-License-Identifier: BSL-1.0
// The table of what bench_channel has printed: medians over its repetitions.
#include <algorithm>
#include <array>
#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/src.hpp>

namespace {

namespace json = boost::json;

// As in quiet.hpp.
constexpr double kTooMuch = 0.1;

constexpr std::array<std::string_view, 15> kPeers{
    "line",     "futex",       "pipe",          "pipe_bytes",  "loan",
    "queue",    "kernel_pipe", "stream_socket", "seqpacket",   "posix_mq",
    "boost_mq", "zeromq",      "openmpi",       "python_pipe", "python_queue"};
// Not ways to pass messages, but what these can not be faster than.
constexpr std::size_t kFloors = 2;

struct Field {
  std::string_view key;
  std::string_view name;
};
constexpr std::array<Field, 6> kFields{{{"p50_ns", "p50"},
                                        {"p99_ns", "p99"},
                                        {"p999_ns", "p99.9"},
                                        {"mean_ns", "mean"},
                                        {"messages_per_second", "msg/s"},
                                        {"processor_share", "cpu"}}};

struct Row {
  std::size_t order;  ///< of the case
  std::int64_t size;
  std::int64_t producers;
  std::int64_t consumers;
  std::size_t field;
  std::string what;

  auto operator<=>(Row const&) const = default;
};

struct Measurement {
  double value;
  double line;
  bool is_disturbed;
};

/// Three digits of a number with a unit of its magnitude.
std::string short_number(double value, std::initializer_list<std::string_view> units) {
  auto unit = units.begin();
  while (std::abs(value) >= 999.5 && unit + 1 != units.end()) value /= 1000, ++unit;
  std::ostringstream text;
  int const digits = value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  text << std::fixed << std::setprecision(digits) << value << *unit;
  return text.str();
}

std::string text_of(std::size_t field, double value) {
  auto const key = kFields[field].key;
  if (key.ends_with("_ns")) return short_number(value, {"ns", "us", "ms", "s"});
  if (key == "processor_share") return short_number(100 * value, {"%"});
  return short_number(value, {"", "k", "M"});
}

std::string text_of_size(std::int64_t size) {
  if (size >= 1 << 20) return std::to_string(size >> 20) + " MiB";
  if (size >= 1 << 10) return std::to_string(size >> 10) + " KiB";
  return std::to_string(size) + " B";
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  auto const middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Measurements compare when the processors were as far apart: near, within half as much again as
/// the nearest, or far.
class Distance {
 public:
  /// `which`: near, far, or usual, which is more often the case.
  Distance(std::vector<double> lines, std::string const& which) {
    std::sort(lines.begin(), lines.end());
    nearest_ = lines.at(lines.size() / 20);  // not the one that was lucky
    auto const split = std::partition_point(lines.begin(), lines.end(),
                                            [&](double line) { return is_near(line); });
    auto const near = split - lines.begin();
    auto const far = lines.end() - split;
    wants_near_ = which == "near" || (which == "usual" && near >= far);
    share_ = static_cast<double>(wants_near_ ? near : far) / static_cast<double>(lines.size());
    if (share_ == 0) throw std::runtime_error("the processors were never " + which);
    typical_ = wants_near_ ? median({lines.begin(), split}) : median({split, lines.end()});
  }
  bool is_wanted(double line) const { return is_near(line) == wants_near_; }
  /// Of those that are wanted.
  double share() const { return share_; }
  double typical() const { return typical_; }

 private:
  bool is_near(double line) const { return line <= 1.5 * nearest_; }

  double nearest_;
  bool wants_near_;
  double share_;
  double typical_;
};

class Report {
 public:
  void read(std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
      auto const object = json::parse(line).as_object();
      if (auto const* about = object.if_contains("about")) {
        about_.emplace_back(about->as_string().c_str(), object.at("value").as_string().c_str());
      } else {
        add(object);
      }
    }
    if (lines_.empty()) throw std::runtime_error("there are no measurements");
  }

  void print(std::ostream& out, std::string const& processors) const {
    Distance const distance(lines_, processors);
    for (auto const& [name, value] : about_) out << name << ": " << value << "\n";
    out << "Medians of " << repetitions() << " repetitions. The round trip of a line took "
        << text_of(0, distance.typical()) << " at " << std::lround(100 * distance.share())
        << " % of the measurements; "
        << std::lround(100 * disturbed_ / static_cast<double>(lines_.size()))
        << " % were disturbed by other processes.\n~: of the others, where none was made at that "
           "distance and undisturbed. *: the best of its row.\n\n";
    print_head(out);
    for (auto const& [row, cells] : rows_) print_row(out, row, cells, distance);
  }

 private:
  using Cells = std::map<std::string, std::vector<Measurement>>;
  static constexpr int kLabelWidth = 26;
  static constexpr int kWidth = 10;

  void add(json::object const& object) {
    std::string const what = object.at("case").as_string().c_str();
    std::string const peer = object.at("peer").as_string().c_str();
    auto const integer = [&](char const* key) { return object.at(key).to_number<std::int64_t>(); };
    auto const number = [&](char const* key) { return object.at(key).to_number<double>(); };
    constexpr std::array<std::string_view, 6> kOrder{"round_trip", "parked", "parked_idle",
                                                     "stream",     "many",   "idle"};
    auto const order = std::find(kOrder.begin(), kOrder.end(), what) - kOrder.begin();
    bool const is_disturbed = number("disturbance") >= kTooMuch;
    disturbed_ += is_disturbed ? 1 : 0;
    for (std::size_t field = 0; field < kFields.size(); ++field) {
      auto const* value = object.if_contains(kFields[field].key);
      if (value == nullptr) continue;
      Row const row{static_cast<std::size_t>(order),
                    integer("size"),
                    integer("producers"),
                    integer("consumers"),
                    field,
                    what};
      rows_[row][peer].push_back({value->to_number<double>(), number("line_ns"), is_disturbed});
    }
    peers_.insert(peer);
    lines_.push_back(number("line_ns"));
  }

  std::size_t repetitions() const {
    std::size_t most = 0;
    for (auto const& [row, cells] : rows_) {
      for (auto const& [peer, all] : cells) most = std::max(most, all.size());
    }
    return most;
  }

  std::vector<std::string> columns() const {
    std::vector<std::string> names;
    for (auto const peer : kPeers) {
      if (peers_.contains(std::string(peer))) names.emplace_back(peer);
    }
    for (auto const& peer : peers_) {
      if (std::find(names.begin(), names.end(), peer) == names.end()) names.push_back(peer);
    }
    return names;
  }

  void print_head(std::ostream& out) const {
    std::string first(kLabelWidth, ' ');
    std::string second = first;
    for (auto const& name : columns()) {
      auto const split = name.find('_');
      std::ostringstream above;
      std::ostringstream below;
      above << std::setw(kWidth) << (split == std::string::npos ? "" : name.substr(0, split));
      below << std::setw(kWidth) << (split == std::string::npos ? name : name.substr(split + 1));
      first += above.str();
      second += below.str();
    }
    out << first << '\n' << second << '\n';
  }

  void print_row(std::ostream& out, Row const& row, Cells const& cells,
                 Distance const& distance) const {
    constexpr std::int64_t kSmall = 64;
    bool const is_rate = kFields[row.field].key == "messages_per_second";
    // Of large round trips there are too few for percentiles.
    if (row.what == "round_trip" && row.size > kSmall && kFields[row.field].name != "p50") return;
    std::ostringstream label;
    label << row.what << ' ' << text_of_size(row.size);
    if (row.producers + row.consumers > 2) label << ' ' << row.producers << '-' << row.consumers;
    label << ' ' << kFields[row.field].name;
    out << std::left << std::setw(kLabelWidth) << label.str() << std::right;
    std::map<std::string, Cell> values;
    for (auto const& [peer, all] : cells) values[peer] = cell(all, distance);
    auto const is_better = [&](double a, double b) { return is_rate ? a > b : a < b; };
    auto const is_floor = [](std::string const& peer) {
      return std::find(kPeers.begin(), kPeers.begin() + kFloors, peer) != kPeers.begin() + kFloors;
    };
    auto best = values.end();
    for (auto it = values.begin(); it != values.end(); ++it) {
      if (is_floor(it->first)) continue;
      if (best == values.end() || is_better(it->second.value, best->second.value)) best = it;
    }
    for (auto const& peer : columns()) {
      auto const it = values.find(peer);
      if (it == values.end()) {
        out << std::setw(kWidth) << "-";
        continue;
      }
      auto text = text_of(row.field, it->second.value);
      if (it == best) text = "*" + text;
      if (!it->second.is_wanted) text = "~" + text;
      out << std::setw(kWidth) << text;
    }
    out << '\n';
  }

  struct Cell {
    double value;
    bool is_wanted;
  };
  static Cell cell(std::vector<Measurement> const& all, Distance const& distance) {
    std::vector<double> wanted;
    std::vector<double> values;
    for (auto const& each : all) {
      values.push_back(each.value);
      if (!each.is_disturbed && distance.is_wanted(each.line)) wanted.push_back(each.value);
    }
    return wanted.empty() ? Cell{median(values), false} : Cell{median(wanted), true};
  }

  std::vector<std::pair<std::string, std::string>> about_;
  std::map<Row, Cells> rows_;
  std::set<std::string> peers_;
  std::vector<double> lines_;
  double disturbed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The table of what bench_channel has printed");
  std::string path;
  std::string processors = "usual";
  app.add_option("FILE", path)->required()->check(CLI::ExistingFile);
  app.add_option("--processors", processors, "Measurements with which distance of these")
      ->check(CLI::IsMember({"near", "far", "usual"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::ifstream file(path);
    Report report;
    report.read(file);
    report.print(std::cout, processors);
  } catch (std::exception const& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
