// SPDX-License-Identifier: BSL-1.0
// The bodies of memory.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/memory.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {
namespace memory_detail {

MULTIPROCESSING_INLINE std::uint64_t number_in(std::string const& path) {
  return number_after(read_text_file(path), "").value_or(kUnlimited);
}

MULTIPROCESSING_INLINE std::uint64_t of_the_machine() {
  auto const text = read_text_file("/proc/meminfo");
  auto const available = number_after(text, "MemAvailable:");
  if (!available) return kUnlimited;
  return (*available + number_after(text, "SwapFree:").value_or(0)) << 10;
}

MULTIPROCESSING_INLINE std::uint64_t left_of(std::string const& limit, std::string const& used,
                                             std::string const& statistics) {
  auto const allowed = number_in(limit);
  auto const taken = number_in(used);
  if (allowed == kUnlimited || taken == kUnlimited) return kUnlimited;
  auto const details = read_text_file(statistics);
  auto const files = number_after(details, "\ninactive_file ").value_or(0) +
                     number_after(details, "\nactive_file ").value_or(0);
  auto const needed = taken - std::min(taken, files);
  return allowed > needed ? allowed - needed : 0;
}

MULTIPROCESSING_INLINE std::uint64_t of_the_control_groups() {
  auto const groups = read_text_file("/proc/self/cgroup");
  std::uint64_t least = kUnlimited;
  for (std::size_t begin = 0; begin < groups.size();) {
    auto const end = std::min(groups.find('\n', begin), groups.size());
    auto const line = groups.substr(begin, end - begin);
    begin = end + 1;
    // hierarchy:controllers:path; version 2 names no controllers
    auto const first = line.find(':');
    auto const second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    auto const controllers = line.substr(first + 1, second - first - 1);
    auto path = line.substr(second + 1);
    while (!path.empty() && path.back() == '/') path.pop_back();
    for (;;) {
      if (controllers.empty()) {
        auto const group = "/sys/fs/cgroup" + path;
        least = std::min(least, left_of(group + "/memory.max", group + "/memory.current",
                                        group + "/memory.stat"));
      } else if (controllers.find("memory") != std::string::npos) {
        auto const group = "/sys/fs/cgroup/memory" + path;
        least = std::min(least, left_of(group + "/memory.limit_in_bytes",
                                        group + "/memory.usage_in_bytes", group + "/memory.stat"));
      }
      auto const parent = path.rfind('/');
      if (parent == std::string::npos) break;
      path.resize(parent);
    }
  }
  return least;
}

}  // namespace memory_detail

MULTIPROCESSING_INLINE std::uint64_t available_memory() {
  return std::min(memory_detail::of_the_machine(), memory_detail::of_the_control_groups());
}

}  // namespace multiprocessing::os
