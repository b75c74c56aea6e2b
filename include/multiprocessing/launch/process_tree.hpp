// SPDX-License-Identifier: BSL-1.0
// Ending a process with all that descend from it.
//
//   stop each that is known --> look whose parents they are --> again, until nobody is new
//   kill them all               and everybody has stopped
//
// Who has stopped starts nobody any more, so nobody comes between the last look and the kill. Whose
// parent has ended is nobody's child here, and is not found.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>

namespace multiprocessing::launch {

namespace process_tree_detail {

/// The numbers that a directory of /proc has for names.
inline std::vector<pid_t> numbers_in(std::string const& directory) {
  struct Close {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
  };
  std::vector<pid_t> numbers;
  std::unique_ptr<DIR, Close> const open(::opendir(directory.c_str()));
  while (dirent const* const entry = open == nullptr ? nullptr : ::readdir(open.get())) {
    std::string_view const name = entry->d_name;
    pid_t number = 0;
    auto const parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

/// Whether none of its threads can start a process any more.
inline bool has_stopped(pid_t pid) {
  auto const directory = "/proc/" + std::to_string(pid) + "/task";
  auto const threads = numbers_in(directory);
  return std::all_of(threads.begin(), threads.end(), [&](pid_t thread) {
    auto const stat = os::stat_of(pid, thread);
    return !stat || std::string_view("TtZX").find(stat->state) != std::string_view::npos;
  });
}

/// Those that are known to descend from the first of them.
class Tree {
 public:
  /// `root`: a child of this process that nobody reaps meanwhile.
  explicit Tree(pid_t root) { add(root); }

  /// Whether somebody was new.
  bool grow() {
    auto const known = members_.size();
    for (pid_t const pid : numbers_in("/proc")) {
      auto const stat = os::stat_of(pid);
      if (stat && has(stat->parent) && !has(pid)) add(pid, stat->parent);
    }
    return members_.size() != known;
  }
  bool have_stopped() const {
    return std::all_of(members_.begin(), members_.end(),
                       [](Member const& member) { return has_stopped(member.pid); });
  }
  void kill() const {
    for (auto const& member : members_) send(member, SIGKILL);
  }

 private:
  struct Member {
    pid_t pid;
    os::Fd pidfd;
  };

  bool has(pid_t pid) const {
    return std::any_of(members_.begin(), members_.end(),
                       [=](Member const& member) { return member.pid == pid; });
  }
  void add(pid_t pid, pid_t parent = 0) {
    Member member{pid, os::try_open_pidfd(pid)};
    // Still that parent's child after the open: so it is the process that was looked at.
    auto const stat = os::stat_of(pid);
    if (!member.pidfd || !stat || (parent != 0 && stat->parent != parent)) return;
    send(member, SIGSTOP);
    members_.push_back(std::move(member));
  }
  static void send(Member const& member, int signal) {
    try {
      os::send_signal(member.pidfd, member.pid, signal);
    } catch (std::system_error const&) {  // another user's: the others end all the same
    }
  }

  std::vector<Member> members_;
};

}  // namespace process_tree_detail

/// Kills `root`, a child of this process that has not been reaped, and all that descend from it by
/// way of processes that still run. Blocks: until they have stopped, a second at most.
inline void kill_tree(pid_t root) {
  // One that waits for a disk, say, stops only then; it starts nobody meanwhile.
  constexpr std::chrono::seconds kStoppingTakes{1};
  auto const deadline = base::Deadline::after(kStoppingTakes);
  process_tree_detail::Tree tree(root);
  for (;;) {
    // Looked at before: who stops after the last look for children may have started one since.
    bool const is_final = tree.have_stopped() || deadline.passed();
    if (!tree.grow() && is_final) break;
    constexpr std::chrono::milliseconds kBetweenLooks{1};
    if (!is_final) os::poll_until({}, base::Deadline::after(kBetweenLooks));
  }
  tree.kill();
}

}  // namespace multiprocessing::launch
