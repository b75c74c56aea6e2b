// SPDX-License-Identifier: BSL-1.0
// A function that runs in a process of its own.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <concepts>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child_setup.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/exit_request.hpp>
#include <multiprocessing/launch/exit_status.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/process_record.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/processors.hpp>

namespace multiprocessing {

/// Python: the keyword arguments of multiprocessing.Process.
struct ProcessOptions {
  /// By default "Process-1", and "Process-1:2" for the second child of that one.
  std::string name = {};
  /// Terminated when its parent ends normally, where others are waited for. Default: the parent's.
  std::optional<bool> daemon = std::nullopt;
  /// Default: what set_start_method() says when the process is started.
  std::optional<StartMethod> start_method = std::nullopt;

  // What follows Python has in other modules. What can not be done is told by start().

  /// Processors that it may run on. Default: the parent's. Python: os.sched_setaffinity
  std::vector<int> cpus = {};
  /// From -20, the first to run, to 19. Default: the parent's. Python: os.setpriority
  std::optional<int> nice = std::nullopt;
  std::vector<ResourceLimit> rlimits = {};
  /// Added to the parent's environment.
  std::map<std::string, std::string> env = {};
  /// The directory it begins in. Default: the parent's.
  std::string cwd = {};
  Stream stdin = {};
  Stream stdout = {};
  Stream stderr = {};
  /// Gets a process group of its own: signals to the parent's, Ctrl-C for one, do not reach it.
  bool process_group = false;
  /// Killed when its parent ends in any way, or becomes another program. Daemons are in any case.
  bool kill_on_parent_death = false;
  /// What Ctrl-C, and interrupt(), do to it.
  SigintPolicy sigint = SigintPolicy::terminate;
};

class Process;

namespace process_detail {
/// What may stand first among a Process's arguments and is not itself a Process or its options.
template <class F>
concept Target = !std::same_as<std::remove_cvref_t<F>, Process> &&
                 !std::same_as<std::remove_cvref_t<F>, ProcessOptions>;

inline void nothing() {}

/// Throws: std::invalid_argument.
template <class F>
void require_callable(char const* call, F const& f) {
  if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F>) {
    if (f == nullptr) {
      throw std::invalid_argument(std::string(call) + ": the function is a null pointer");
    }
  }
}

inline void require_whole(std::string const& text, char const* option) {
  if (text.find('\0') == std::string::npos) return;
  throw std::invalid_argument("Process: ." + std::string(option) +
                              " holds a zero byte, where the system would cut it off");
}

/// Throws: std::invalid_argument.
inline launch::ProcessRecord::Options record_options(ProcessOptions options) {
  require_whole(options.cwd, "cwd");
  for (auto const& [name, value] : options.env) {
    require_whole(name, "env");
    require_whole(value, "env");
  }
  require_whole(options.stdin.path(), "stdin");
  require_whole(options.stdout.path(), "stdout");
  require_whole(options.stderr.path(), "stderr");
  return {
      .method = options.start_method,
      .setup = {.cpus = std::move(options.cpus),
                .nice = options.nice,
                .rlimits = std::move(options.rlimits),
                .env = std::move(options.env),
                .cwd = std::move(options.cwd),
                .process_group = options.process_group,
                .dies_with_parent = options.kill_on_parent_death,
                .sigint = options.sigint},
      .streams = {std::move(options.stdin), std::move(options.stdout), std::move(options.stderr)}};
}
}  // namespace process_detail

/// A child process that runs a function. The object is a handle: it may be moved, and dropped while
/// the process runs. A process that was started is, when its parent ends normally, joined, or
/// terminated if it is a daemon.
///
/// Threads: safe. Processes: all but the name is for the creator only; elsewhere a call throws
/// std::logic_error. After close() every call but close() and printing throws
/// std::invalid_argument. Fork: a forked child is a copy of the parent with the calling thread
/// only; what other threads had locked stays locked in it. No child has its parent's signal
/// handlers, or blocks a signal; what the parent ignores it does, too, but for SIGTERM and SIGCHLD.
/// Peer death: the child's death ends every wait for it. It survives its
/// parent's, unless it is a daemon or was told not to. Throws: every call, std::invalid_argument on
/// an object that was moved from. Python: multiprocessing.Process; differs: name and daemon are set
/// at construction only.
class Process {
 public:
  /// Will run `f(args...)`, on copies of both that are made now. What f returns is ignored. Where
  /// the process is not forked, they are sent to it: see Picklable.
  template <class F, class... Args>
  requires(!std::same_as<std::remove_cvref_t<F>, Process> &&
           !std::same_as<std::remove_cvref_t<F>, ProcessOptions>) explicit Process(F&& f,
                                                                                   Args&&... args)
      : Process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}

  /// The same, with options.
  template <class F, class... Args>
  Process(ProcessOptions options, F&& f, Args&&... args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                  "multiprocessing: the function can not be called with these arguments (they are "
                  "copied for the child: to take one by reference is not to share it)");
    process_detail::require_callable<std::decay_t<F>>("Process", f);
    auto who = launch::new_child_identity();
    if (!options.name.empty()) who->name = std::move(options.name);
    who->daemon = options.daemon.value_or(who->daemon);
    using Target = launch::CallTarget<std::decay_t<F>, std::decay_t<Args>...>;
    channel::Collector collector;
    auto target =
        std::make_unique<Target>(std::in_place, std::forward<F>(f), std::forward<Args>(args)...);
    record_ = std::make_shared<launch::ProcessRecord>(
        std::move(who), process_detail::record_options(std::move(options)), std::move(target),
        collector.take());
  }

  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;
  virtual ~Process() = default;

  /// Blocks: where the process is not forked, until it is about to run its function.
  /// Throws: std::logic_error the second time, and when main() does not call init() but has to;
  /// std::system_error; where it is not forked also TypeError when the function or an argument can
  /// not be sent, ProcessDied when the process ended before it could begin.
  void start() {
    record();  // is there
    if (typeid(*this) != typeid(Process)) record_->require_fork();
    launch::Children::of_this_process().start(record_, [this] { run(); });
  }

  /// What the process does, in the process: by default, to call its function. A class of its own
  /// may do something else there, if its processes are forked.
  virtual void run() { record().run_target(); }

  /// Blocks: until the process has ended. Any number of threads may wait, any number of times.
  /// Throws: std::logic_error before start, for the current process, for another's child.
  void join() { join_by(base::Deadline::never()); }

  /// Blocks: at most for `timeout`. Whether the process has ended.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) {
    return join_by(base::Deadline::after(timeout));
  }
  /// Blocks: at most until `when`. Whether the process has ended.
  [[nodiscard]] bool join_until(std::chrono::steady_clock::time_point when) {
    return join_by(base::Deadline::at(when));
  }

  /// As it was given, or made, at construction.
  std::string const& name() const { return open("name").who().name; }
  /// Whether it is terminated when its parent ends.
  bool daemon() const { return open("daemon").who().daemon; }

  /// nullopt before start; stays the same after the end.
  std::optional<pid_t> pid() const { return record().pid(); }

  /// Started, and not ended yet.
  bool is_alive() const {
    return observe([](launch::ProcessRecord& record) { return record.is_alive(); });
  }

  /// The exit code, or `-signum` when a signal killed it; nullopt before its end.
  std::optional<int> exitcode() const {
    auto const status = exit_status();
    return status ? std::optional(status->exitcode()) : std::nullopt;
  }
  /// How it ended; nullopt before its end.
  std::optional<ExitStatus> exit_status() const {
    return observe([](launch::ProcessRecord& record) { return record.exit_status(); });
  }

  /// Sends SIGTERM: ends without unwinding, unless the process handles it. Its own children go on.
  /// Does nothing after the end. Throws: std::logic_error before start.
  void terminate() { record().send("terminate", SIGTERM); }

  /// Sends SIGKILL, which can not be handled.
  void kill() { record().send("kill", SIGKILL); }

  /// kill() for it and for all that it has started, and that those have: also where some of them
  /// start others at the time. Not for those whose own parent has ended before, unless it has a
  /// process group and they are in it (ProcessOptions::process_group).
  /// Blocks: until all have stopped, a second or so at most. Does nothing after the end. Throws:
  /// std::logic_error before start, and for the current process; std::system_error when some could
  /// not be looked for, for want of descriptors, or not be signalled: the others have been killed.
  /// Python: none
  void kill_tree() { record().kill_tree(); }

  /// Sends SIGINT, as Ctrl-C does: see ProcessOptions::sigint.
  void interrupt() { record().send("interrupt", SIGINT); }

  /// The other ends of streams that are a Stream::pipe(): of its input, to write to, and its output
  /// and errors, to read. Good until close(), or until the last handle is gone. Throws:
  /// std::logic_error when there is no such pipe.
  int stdin_pipe() const { return record().pipe(STDIN_FILENO, "stdin_pipe"); }
  int stdout_pipe() const { return record().pipe(STDOUT_FILENO, "stdout_pipe"); }
  int stderr_pipe() const { return record().pipe(STDERR_FILENO, "stderr_pipe"); }

  /// A descriptor that is readable once the process has ended, for poll and epoll. Good until
  /// close(), or until the last handle is gone. Throws: std::logic_error before start.
  int sentinel() const { return record().sentinel(); }

  /// Gives up the descriptor. A second call does nothing.
  /// Throws: std::invalid_argument while the process runs.
  void close() { record().close(); }

  /// "<Process name='W1' stopped pid=7 exited with code 0 daemon>", at any time and anywhere.
  friend std::ostream& operator<<(std::ostream& out, Process const& process) {
    auto& record = process.record();
    return out << "<Process name='" << record.who().name << "' " << record.describe()
               << (record.who().daemon ? " daemon>" : ">");
  }

 protected:
  /// For a class that says what its processes do by a run() of its own.
  explicit Process(ProcessOptions options = {})
      : Process(std::move(options), process_detail::nothing) {}

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
    record_->log_end();
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
/// Threads: safe. Processes: the one that asked for it. Peer death: ends join() and join_for().
/// Python: what multiprocessing.parent_process returns
class ParentProcess {
 public:
  /// Both as they were when this process was started.
  pid_t pid() const noexcept { return who_->parent_pid; }
  std::string const& name() const noexcept { return who_->parent_name; }

  /// Started, and not ended yet.
  bool is_alive() const { return !join_until(base::Deadline::now()); }

  /// Blocks: until the parent has ended.
  void join() const { static_cast<void>(join_until(base::Deadline::never())); }

  /// Blocks: at most for `timeout`. Whether the parent has ended.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> timeout) const {
    return join_until(base::Deadline::after(timeout));
  }

 private:
  friend std::optional<ParentProcess> parent_process();

  explicit ParentProcess(launch::Identity const& who)
      : who_(&who), pidfd_(launch::open_parent(who)) {}

  bool join_until(base::Deadline deadline) const {
    return pidfd_ == nullptr || os::poll_readable(pidfd_->get(), deadline);
  }

  launch::Identity const* who_;
  std::shared_ptr<os::Fd const> pidfd_;  // null: it has ended
};

/// A handle to the calling process; "MainProcess" where this library did not start it.
/// Python: multiprocessing.current_process
inline Process current_process() { return Process(launch::ProcessRecord::of_this_process()); }

/// nullopt in a process that this library did not start. In a pool's worker, the pool's owner.
/// Python: multiprocessing.parent_process
inline std::optional<ParentProcess> parent_process() {
  auto& who = launch::identity();
  if (who.parent_pid == 0) return std::nullopt;
  return ParentProcess(who);
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
  if (launch::identity().parent_pid == 0) std::exit(code);
  throw launch::ExitRequest{code};
}

}  // namespace multiprocessing
