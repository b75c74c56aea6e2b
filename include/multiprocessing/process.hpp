// SPDX-License-Identifier: BSL-1.0
// A function that runs in a process of its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/launch/exit_status.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/process_record.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/processors.hpp>

namespace multiprocessing {

struct ProcessOptions {
  /// By default "Process-1", and "Process-1:2" for the second child of that one.
  std::string name = {};
  /// Terminated when its parent ends normally, where others are waited for. Default: the parent's.
  std::optional<bool> daemon = std::nullopt;
};

/// A child process that runs a function. The object is a handle: it may be moved, and dropped while
/// the process runs. A process that was started is, when its parent ends normally, joined, or
/// terminated if it is a daemon.
///
/// Threads: safe. Processes: a process can be started, joined and signalled by its creator only;
/// elsewhere that is std::logic_error. After close() every call is std::invalid_argument.
/// Fork: the child is a copy of the parent with the calling thread only; what other threads had
/// locked stays locked in it. Signal handlers and mask are reset, standard input is empty.
/// Python: multiprocessing.Process
class Process {
 public:
  /// Will run `f(args...)`, on copies of both that are made now. What f returns is ignored.
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, Process> &&
           !std::same_as<std::remove_cvref_t<F>, ProcessOptions>) explicit Process(F&& f,
                                                                                   Args&&... args)
      : Process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}

  template <class F, class... Args>
  Process(ProcessOptions options, F&& f, Args&&... args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                  "multiprocessing: the function can not be called with these arguments (they are "
                  "copied for the child: to take one by reference is not to share it)");
    auto who = launch::new_child_identity();
    if (!options.name.empty()) who->name = std::move(options.name);
    who->daemon = options.daemon.value_or(who->daemon);
    // std::function wants copies; what can only be moved is shared by them.
    using Call = std::tuple<std::decay_t<F>, std::decay_t<Args>...>;
    auto call = std::make_shared<Call>(std::forward<F>(f), std::forward<Args>(args)...);
    auto target = [call = std::move(call)] {
      std::apply([](auto&&... parts) { std::invoke(std::move(parts)...); }, std::move(*call));
    };
    record_ = std::make_shared<launch::ProcessRecord>(std::move(who), std::move(target));
  }

  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;

  /// Throws: std::logic_error the second time, std::system_error.
  void start() { launch::Children::of_this_process().start(record_); }

  /// Blocks: until the process has ended. Any number of threads may wait, any number of times.
  /// Throws: std::logic_error before start, for the current process, for another's child.
  void join() { join_by(base::Deadline::never()); }

  /// Blocks: at most for `timeout`. Whether the process has ended.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) {
    return join_by(base::Deadline::after(timeout));
  }
  [[nodiscard]] bool join_until(std::chrono::steady_clock::time_point when) {
    return join_by(base::Deadline::at(when));
  }

  std::string const& name() const { return open("name").who().name; }
  bool daemon() const { return open("daemon").who().daemon; }

  /// nullopt before start; stays the same after the end.
  std::optional<pid_t> pid() const { return record().pid(); }

  bool is_alive() const {
    return observe([](launch::ProcessRecord& record) { return record.is_alive(); });
  }

  /// The exit code, or `-signum` when a signal killed it; nullopt before its end.
  std::optional<int> exitcode() const {
    auto const status = exit_status();
    return status ? std::optional(status->exitcode()) : std::nullopt;
  }
  std::optional<ExitStatus> exit_status() const {
    return observe([](launch::ProcessRecord& record) { return record.exit_status(); });
  }

  /// Sends SIGTERM: ends without unwinding, unless the process handles it. Its own children go on.
  /// Does nothing after the end. Throws: std::logic_error before start.
  void terminate() { record().send("terminate", SIGTERM); }

  /// Sends SIGKILL, which can not be handled.
  void kill() { record().send("kill", SIGKILL); }

  /// A descriptor that is readable once the process has ended, for poll and epoll. Good until
  /// close(), or until the last handle is gone. Throws: std::logic_error before start.
  int sentinel() const { return record().sentinel(); }

  /// Gives up the descriptor. A second call does nothing.
  /// Throws: std::invalid_argument while the process runs.
  void close() { record().close(); }

  friend std::ostream& operator<<(std::ostream& out, Process const& process) {
    auto& record = process.record();
    out << "<Process name='" << record.who().name << "' " << record.state();
    if (record.state() != "closed") {
      if (auto const pid = record.pid()) out << " pid=" << *pid;
      if (auto const status = record.exit_status()) out << " " << *status;
    }
    return out << (record.who().daemon ? " daemon>" : ">");
  }

 private:
  friend Process current_process();
  friend std::vector<Process> active_children();

  explicit Process(std::shared_ptr<launch::ProcessRecord> record) : record_(std::move(record)) {}

  bool join_by(base::Deadline deadline) {
    return observe([&](launch::ProcessRecord& record) { return record.join_until(deadline); });
  }

  /// Asks what may show that the process has ended; then it need not be joined at exit any more.
  template <class Question>
  std::invoke_result_t<Question const&, launch::ProcessRecord&> observe(
      Question const& question) const {
    auto const answer = question(record());
    launch::Children::of_this_process().forget_if_ended(record_);
    return answer;
  }

  launch::ProcessRecord& record() const {
    if (record_ == nullptr) throw std::invalid_argument("Process: the object was moved from");
    return *record_;
  }
  launch::ProcessRecord& open(char const* call) const {
    record().require_open(call);
    return record();
  }

  std::shared_ptr<launch::ProcessRecord> record_;
};

/// The process that this one was started by; it may have ended.
/// Python: multiprocessing.parent_process
class ParentProcess {
 public:
  pid_t pid() const noexcept { return who_->parent_pid; }
  std::string const& name() const noexcept { return who_->parent_name; }

  bool is_alive() const { return !join_until(base::Deadline::after(std::chrono::seconds(0))); }

  /// Blocks: until the parent has ended.
  void join() const { static_cast<void>(join_until(base::Deadline::never())); }

  /// Blocks: at most for `timeout`. Whether the parent has ended.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) const {
    return join_until(base::Deadline::after(timeout));
  }

 private:
  friend std::optional<ParentProcess> parent_process();

  explicit ParentProcess(std::shared_ptr<launch::Identity> who)
      : who_(std::move(who)), pidfd_(who_->parent_pidfd) {
    if (pidfd_ != nullptr || ::getppid() != who_->parent_pid) return;
    auto pidfd = std::make_shared<os::Fd>(os::open_pidfd(who_->parent_pid));
    // Still our parent after the open: so it is the parent that was opened.
    if (::getppid() == who_->parent_pid) pidfd_ = std::move(pidfd);
  }

  bool join_until(base::Deadline deadline) const {
    return pidfd_ == nullptr || os::poll_readable(pidfd_->get(), deadline);
  }

  std::shared_ptr<launch::Identity> who_;
  std::shared_ptr<os::Fd const> pidfd_;  // null: it has ended
};

/// A handle to the calling process; "MainProcess" where this library did not start it.
/// Python: multiprocessing.current_process
inline Process current_process() {
  return Process(std::make_shared<launch::ProcessRecord>(launch::identity()));
}

/// nullopt in a process that this library did not start. In a pool's worker, the pool's owner.
/// Python: multiprocessing.parent_process
inline std::optional<ParentProcess> parent_process() {
  auto who = launch::identity();
  if (who->parent_pid == 0) return std::nullopt;
  return ParentProcess(std::move(who));
}

/// Handles to the children of this process that run; reaps those that have ended.
/// Python: multiprocessing.active_children
inline std::vector<Process> active_children() {
  std::vector<Process> children;
  for (auto& record : launch::Children::of_this_process().alive()) {
    children.push_back(Process(record));
  }
  return children;
}

/// Processors of the machine. How many of them this process may use is what Pool counts.
/// Python: multiprocessing.cpu_count
inline int cpu_count() noexcept { return os::logical_processors(); }

/// Ends this process with exit code `code & 0xFF`. In a child the stack is unwound first, by an
/// exception that is not a std::exception; elsewhere this is std::exit.
/// Python: sys.exit
[[noreturn]] inline void exit(int code) {
  if (launch::identity()->parent_pid == 0) std::exit(code);
  throw launch::ExitRequest{code};
}

}  // namespace multiprocessing
