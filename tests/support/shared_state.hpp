// SPDX-License-Identifier: BSL-1.0
// What a process that is killed leaves to others: the memory that it shares with them, and the list
// of locks that the kernel goes through at its death. Between two changes of these all moments are
// alike: whoever kills it after each change, and after each system call, has killed it everywhere.
#pragma once

#include <dirent.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A cache line of shared memory, wherever that is mapped: the number of the memory, in the order
/// of creation, and the line's in it.
using SharedLine = std::pair<std::size_t, std::size_t>;

/// Of a child that was forked, and so has the memory where this process has it.
class SharedState {
 public:
  static constexpr std::size_t kLine = 64;

  /// `lines`: where changes are looked for; changed_anywhere() adds to them.
  SharedState(pid_t pid, std::set<SharedLine>& lines) : pid_(pid), lines_(lines) {
    void* head = nullptr;
    std::size_t size = 0;
    ::syscall(SYS_get_robust_list, pid, &head, &size);
    robust_list_ = head;
    find_memory();
    look_at_lines();
    look_at_list();
  }

  /// Since the last look, in the known lines.
  bool changed() {
    bool changed = look_at_list();
    for (auto& [place, content] : contents_) {
      if (std::memcmp(content.data(), place, kLine) == 0) continue;
      std::memcpy(content.data(), place, kLine);
      changed = true;
    }
    return changed;
  }

  /// The same, in all of the memory; slow. The first look finds nothing.
  bool changed_anywhere() {
    bool const list_changed = look_at_list();
    bool memory_changed = false;
    for (std::size_t number = 0; number < memories_.size(); ++number) {
      auto& memory = memories_[number];
      for (auto const& [begin, end] : pages_of(memory)) {
        for (auto at = begin; at < end; at += kPage) {
          auto const [place, is_new] = memory.pages.try_emplace(at);
          auto const* const page = memory.begin + at;
          if (std::memcmp(place->second.data(), page, kPage) == 0) continue;
          for (std::size_t line = 0; line < kPage / kLine && !memory.is_new; ++line) {
            if (std::memcmp(place->second.data() + line * kLine, page + line * kLine, kLine) == 0) {
              continue;
            }
            lines_.insert({number, at / kLine + line});
            memory_changed = true;
          }
          std::memcpy(place->second.data(), page, kPage);
        }
      }
      memory.is_new = false;
    }
    return list_changed || memory_changed;
  }

 private:
  static constexpr std::size_t kPage = 4096;
  using Range = std::pair<std::size_t, std::size_t>;

  struct Memory {
    std::byte* begin = nullptr;
    std::size_t size = 0;
    int fd = -1;
    bool is_new = true;
    std::map<std::size_t, std::array<std::byte, kPage>> pages;
  };

  /// The memfds that this process has mapped for writing.
  void find_memory() {
    std::map<ino_t, int> fds;
    DIR* const dir = ::opendir("/proc/self/fd");
    while (dirent const* const entry = ::readdir(dir)) {
      struct stat status {};
      int const fd = std::atoi(entry->d_name);
      if (entry->d_name[0] != '.' && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        fds[status.st_ino] = fd;
      }
    }
    ::closedir(dir);
    std::map<ino_t, Memory> found;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.find(" rw-s ") == std::string::npos) continue;
      std::istringstream words(line);
      std::uintptr_t begin = 0;
      std::uintptr_t end = 0;
      char dash = 0;
      std::string word;
      ino_t inode = 0;
      words >> std::hex >> begin >> dash >> end >> word >> word >> word >> std::dec >> inode;
      if (!fds.contains(inode)) continue;
      auto& memory = found[inode];  // several lines tell of one whose parts are treated differently
      if (memory.begin == nullptr) memory.begin = reinterpret_cast<std::byte*>(begin);
      memory.size = end - reinterpret_cast<std::uintptr_t>(memory.begin);
      memory.fd = fds[inode];
    }
    for (auto& [inode, memory] : found) memories_.push_back(std::move(memory));
  }

  /// Where the memory has pages: elsewhere all is zeros, and stays so.
  static std::vector<Range> pages_of(Memory const& memory) {
    std::vector<Range> ranges;
    for (off_t at = 0;;) {
      off_t const begin = ::lseek(memory.fd, at, SEEK_DATA);
      if (begin < 0 || static_cast<std::size_t>(begin) >= memory.size) return ranges;
      at = ::lseek(memory.fd, begin, SEEK_HOLE);
      ranges.emplace_back(begin, std::min(static_cast<std::size_t>(at), memory.size));
    }
  }

  void look_at_lines() {
    for (auto const& [number, line] : lines_) {
      if (number >= memories_.size() || (line + 1) * kLine > memories_[number].size) continue;
      auto const* const place = memories_[number].begin + line * kLine;
      auto& content = contents_.emplace_back(place, std::array<std::byte, kLine>{}).second;
      std::memcpy(content.data(), place, kLine);
    }
  }

  /// Whether it has changed.
  bool look_at_list() {
    std::array<std::byte, sizeof(robust_list_head)> now{};
    iovec const local{now.data(), now.size()};
    iovec const remote{robust_list_, now.size()};
    ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
    return std::exchange(list_, now) != now;
  }

  pid_t pid_;
  std::set<SharedLine>& lines_;
  void* robust_list_ = nullptr;
  std::array<std::byte, sizeof(robust_list_head)> list_{};
  std::vector<Memory> memories_;
  std::vector<std::pair<std::byte const*, std::array<std::byte, kLine>>> contents_;
};

}  // namespace support
