// SPDX-License-Identifier: BSL-1.0
// What a test could leave behind: descriptors, processes, zombies, names in /dev/shm.
#pragma once

#include <string>
#include <vector>

namespace support {

struct ProcessInfo {
  int pid = 0;
  int parent = 0;
  char state = '?';
  std::string command;
  std::string waits_in;
};

/// All processes of this process's group but itself: its descendants, orphans included.
std::vector<ProcessInfo> process_group();

struct Holdings {
  std::vector<std::string> fds;  ///< "5 -> /dev/null"
  std::vector<std::string> shared_memory;

  static Holdings now();
};

/// A line for each thing that is there now and was not before; empty when all is clean. Orphans
/// get a moment to end, because the kernel ends them after their parent.
std::string what_is_left_since(Holdings const& before);

/// How many descriptors this process has open.
std::size_t open_fds();

}  // namespace support
