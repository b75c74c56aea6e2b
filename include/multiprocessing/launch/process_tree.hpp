// SPDX-License-Identifier: BSL-1.0
// Ending all that descends from a process.
//
//   stop each that is known --> look whose parents they are --> again, until nobody is new
//   kill them, the youngest     and everybody has stopped
//   branches first
//
// Who has stopped starts nobody any more, so nobody comes between the last look and the kill. A
// parent's end may wake stopped children (an orphaned process group is sent SIGCONT), so it comes
// after theirs; and before it, it reaps nobody, so their pids stay theirs. Whose parent has ended
// already is nobody's child here, and is not found.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::launch {

namespace process_tree_detail {

/// The numbers that a directory of /proc has for names; none when it is gone.
/// Throws: std::system_error.
inline std::vector<pid_t> numbers_in(std::string const& directory) {
  struct Close {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
  };
  std::vector<pid_t> numbers;
  std::unique_ptr<DIR, Close> const open(::opendir(directory.c_str()));
  if (open == nullptr && errno != ENOENT && errno != ESRCH) os::throw_errno("opendir", directory);
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

/// As os::stat_of(). Throws: std::system_error when there is no descriptor left to look.
inline std::optional<os::ProcessStat> look_at(pid_t pid, std::optional<pid_t> thread = {}) {
  errno = 0;
  auto const stat = os::stat_of(pid, thread);
  if (!stat && (errno == EMFILE || errno == ENFILE)) os::throw_errno("open", "/proc");
  return stat;
}

/// As far as the kernel tells it in one file.
inline std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  auto const tasks = "/proc/" + std::to_string(pid) + "/task/";
  for (pid_t const thread : numbers_in(tasks)) {
    std::istringstream text(os::read_text_file(tasks + std::to_string(thread) + "/children"));
    for (pid_t child = 0; text >> child;) children.push_back(child);
  }
  return children;
}

/// Whether none of its threads can start a process any more.
inline bool has_stopped(pid_t pid) {
  auto const threads = numbers_in("/proc/" + std::to_string(pid) + "/task");
  return std::all_of(threads.begin(), threads.end(), [&](pid_t thread) {
    auto const stat = look_at(pid, thread);
    return !stat || std::string_view("TtZX").find(stat->state) != std::string_view::npos;
  });
}

/// Those that are known to descend from the first of them, each behind its parent.
class Tree {
 public:
  explicit Tree(pid_t root) {
    if (auto const stat = look_at(root)) members_.push_back({root, stat->start_time});
  }

  /// Stops who is new. Whether somebody was.
  bool grow() {
    auto const known = members_.size();
    for (pid_t const pid : numbers_in("/proc")) {
      // Down to its youngest at once: a branch may grow faster than all processes are looked at.
      for (std::vector<pid_t> candidates{pid}; !candidates.empty();) {
        pid_t const candidate = candidates.back();
        candidates.pop_back();
        auto const stat = look_at(candidate);
        if (!stat || !has(stat->parent) || has(candidate)) continue;
        members_.push_back({candidate, stat->start_time});
        send(members_.back(), SIGSTOP);
        auto const children = children_of(candidate);
        candidates.insert(candidates.end(), children.begin(), children.end());
      }
    }
    return members_.size() != known;
  }
  bool have_stopped() const {
    return std::all_of(members_.begin(), members_.end(),
                       [](Member const& member) { return has_stopped(member.pid); });
  }
  /// All but the first.
  void kill_branches() {
    while (members_.size() > 1) {
      send(members_.back(), SIGKILL);
      members_.pop_back();
    }
  }
  /// Of who could not be sent a signal; 0: there was nobody.
  int error() const noexcept { return error_; }

 private:
  struct Member {
    pid_t pid;
    std::uint64_t start_time;
  };

  bool has(pid_t pid) const {
    return std::any_of(members_.begin(), members_.end(),
                       [=](Member const& member) { return member.pid == pid; });
  }
  /// Not to who has the pid by now, should it have ended by itself.
  void send(Member const& member, int signal) {
    auto const stat = os::stat_of(member.pid);
    if (stat && stat->start_time != member.start_time) return;
    if (::kill(member.pid, signal) != 0 && errno != ESRCH) error_ = errno;
  }

  std::vector<Member> members_;
  int error_ = 0;
};

}  // namespace process_tree_detail

/// Kills all that descend from `root` by way of processes that still run. REQUIRES: `root` has been
/// sent SIGSTOP, and is a child that nobody reaps meanwhile unless it ends.
/// Blocks: until they have stopped, a second or so at most. Throws: std::system_error when there
/// are no descriptors to look for them, or somebody may not be signalled; the others have been.
inline void kill_branches(pid_t root) {
  // One that waits for a disk, say, stops only then; it starts nobody meanwhile.
  constexpr std::chrono::seconds kStoppingTakes{1};
  auto const deadline = base::Deadline::after(kStoppingTakes);
  process_tree_detail::Tree tree(root);
  try {
    for (;;) {
      // Looked at before: who stops after the last look for children may have started one since.
      bool const is_final = tree.have_stopped() || deadline.passed();
      if (!tree.grow() && is_final) break;
      constexpr std::chrono::milliseconds kBetweenLooks{1};
      if (!is_final) os::poll_until({}, base::Deadline::after(kBetweenLooks));
    }
  } catch (...) {
    tree.kill_branches();
    throw;
  }
  tree.kill_branches();
  if (tree.error() != 0) os::throw_error(tree.error(), "kill_tree", "a descendant");
}

}  // namespace multiprocessing::launch
