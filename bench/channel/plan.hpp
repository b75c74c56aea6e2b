// SPDX-License-Identifier: BSL-1.0
// What is measured: one case, with one size of message, between so many processes.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace bench {

enum class Case { RoundTrip, Parked, ParkedIdle, Stream, Many, Idle };

struct CaseName {
  Case what;
  std::string_view name;
};
inline constexpr std::array<CaseName, 6> kCaseNames{{{Case::RoundTrip, "round_trip"},
                                                     {Case::Parked, "parked"},
                                                     {Case::ParkedIdle, "parked_idle"},
                                                     {Case::Stream, "stream"},
                                                     {Case::Many, "many"},
                                                     {Case::Idle, "idle"}}};

constexpr std::string_view name_of(Case what) {
  return std::find_if(kCaseNames.begin(), kCaseNames.end(),
                      [&](CaseName const& each) { return each.what == what; })
      ->name;
}

/// What the command line asks for.
struct Options {
  std::vector<std::string> peers;  ///< empty: all
  std::vector<std::string> cases;
  std::vector<std::size_t> sizes;
  double seconds = 0.3;
  unsigned parked = 1000;
  std::chrono::microseconds pause{2000};
  bool is_pinned = false;

  void add_to(CLI::App& app) {
    app.add_option("--peer", peers, "Only these peers")->delimiter(',');
    app.add_option("--case", cases, "Only these cases")->delimiter(',');
    app.add_option("--size", sizes, "Only messages of so many bytes")->delimiter(',');
    app.add_option("--seconds", seconds, "How long each is measured; a quarter more warms up")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--parked", parked, "Round trips with a pause before each")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option_function<unsigned>(
           "--pause", [this](unsigned given) { pause = std::chrono::microseconds(given); },
           "How long these pauses are, in microseconds")
        ->default_str("2000");
    app.add_flag("--pin", is_pinned, "Keep each process on one processor");
  }

  /// For a program that is to do `plan` alone.
  std::string arguments(Case what, std::size_t size) const {
    return " --case " + std::string(name_of(what)) + " --size " + std::to_string(size) +
           " --seconds " + std::to_string(seconds) + " --parked " + std::to_string(parked) +
           " --pause " + std::to_string(pause.count()) + (is_pinned ? " --pin" : "");
  }

  bool wants_peer(std::string_view name) const { return wants(peers, name); }
  bool wants_case(std::string_view name) const { return wants(cases, name); }
  bool wants_size(std::size_t size) const { return wants(sizes, size); }

 private:
  template <class T>
  static bool wants(std::vector<T> const& asked, auto const& one) {
    return asked.empty() || std::find(asked.begin(), asked.end(), one) != asked.end();
  }
};

struct Plan {
  Case what;
  std::size_t size;  ///< of a message
  unsigned producers = 1;
  unsigned consumers = 1;
  Options options = {};

  unsigned members() const noexcept { return producers + consumers; }
  bool is_one_to_one() const noexcept { return members() == 2; }
};

inline constexpr unsigned kMostMembers = 9;
inline constexpr std::size_t kSmall = 64;
inline constexpr std::size_t kMiB = std::size_t{1} << 20;

/// All that `options` leave.
inline std::vector<Plan> plans(Options const& options) {
  std::vector<Plan> all;
  auto const add = [&](Case what, std::initializer_list<std::size_t> sizes, unsigned producers = 1,
                       unsigned consumers = 1) {
    for (auto const size : sizes) {
      if (options.wants_case(name_of(what)) && options.wants_size(size)) {
        all.push_back({what, size, producers, consumers, options});
      }
    }
  };
  add(Case::RoundTrip, {kSmall, kMiB, 64 * kMiB});
  add(Case::Parked, {kSmall});
  add(Case::ParkedIdle, {kSmall});
  add(Case::Stream, {8, kSmall, 512, 4096, 32768, 262144, kMiB, 8 * kMiB, 64 * kMiB});
  add(Case::Many, {kSmall}, 4, 4);
  add(Case::Many, {kSmall}, 8, 1);
  add(Case::Idle, {kSmall});
  return all;
}

}  // namespace bench
