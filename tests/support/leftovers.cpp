// SPDX-License-Identifier: BSL-1.0
#include "leftovers.hpp"

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <utility>

#include "memory_name.hpp"

namespace support {
namespace {

namespace fs = std::filesystem;

bool is_packet_socket(std::string const& fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(std::stoi(fd), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
         type == SOCK_SEQPACKET;
}

std::vector<std::string> list_fds() {
  std::vector<std::string> result;
  bool heap_seen = false;
  int vault_seen = 0;
  std::unique_ptr<DIR, int (*)(DIR*)> const dir(::opendir("/proc/self/fd"), ::closedir);
  while (auto const* const entry = ::readdir(dir.get())) {
    std::string const name = entry->d_name;
    if (name[0] == '.' || std::stoi(name) == ::dirfd(dir.get())) continue;
    std::error_code error;
    auto const target = fs::read_symlink("/proc/self/fd/" + name, error).string();
    // Made with the first shared object, and kept: a segment and two pairs of sockets a process.
    bool const is_heap = target.find("memfd:multiprocessing-heap") != std::string::npos;
    if (is_heap && !std::exchange(heap_seen, true)) continue;
    if (is_packet_socket(name) && vault_seen++ < 4) continue;
    result.push_back(name + " -> " + target);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::string> list_shared_memory() {
  std::vector<std::string> result;
  std::error_code error;
  for (auto const& entry : fs::directory_iterator("/dev/shm", error)) {
    if (is_another_tests(entry.path().filename().string())) continue;
    result.push_back(entry.path().string());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::string first_line(fs::path const& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void append_new(std::string& report, char const* what, std::vector<std::string> const& before,
                std::vector<std::string> const& now) {
  std::vector<std::string> added;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                      std::back_inserter(added));
  for (auto const& each : added) report += std::string("  ") + what + " " + each + "\n";
}

// Zombies of others (init has not come to them yet) are not ours to count.
std::vector<ProcessInfo> our_leftovers() {
  auto all = process_group();
  std::erase_if(all, [](auto const& p) { return p.state == 'Z' && p.parent != ::getpid(); });
  return all;
}

}  // namespace

std::vector<ProcessInfo> process_group() {
  std::vector<ProcessInfo> result;
  for (auto const& entry : fs::directory_iterator("/proc")) {
    auto const name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      continue;
    }
    auto const stat = first_line(entry.path() / "stat");
    auto const end = stat.rfind(')');
    if (end == std::string::npos) continue;
    ProcessInfo info;
    int group = 0;
    std::istringstream(stat.substr(end + 1)) >> info.state >> info.parent >> group;
    info.pid = std::stoi(name);
    if (group != ::getpgrp() || info.pid == ::getpid()) continue;
    info.command = stat.substr(stat.find('(') + 1, end - stat.find('(') - 1);
    info.waits_in = first_line(entry.path() / "wchan");
    result.push_back(info);
  }
  return result;
}

Holdings Holdings::now() { return {list_fds(), list_shared_memory()}; }

std::string what_is_left_since(Holdings const& before) {
  constexpr auto kMoment = std::chrono::seconds(5);
  auto const end = std::chrono::steady_clock::now() + kMoment;
  while (!our_leftovers().empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  std::string report;
  for (auto const& process : our_leftovers()) {
    report += "  process " + std::to_string(process.pid) + " (" + process.command + ") state " +
              process.state + "\n";
  }
  auto const now = Holdings::now();
  append_new(report, "descriptor", before.fds, now.fds);
  append_new(report, "shared memory", before.shared_memory, now.shared_memory);
  return report;
}

std::size_t open_fds() { return list_fds().size(); }

}  // namespace support
