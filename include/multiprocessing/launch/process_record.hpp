// SPDX-License-Identifier: BSL-1.0
// What stands behind every handle to a Process, and the list of those that run.
#pragma once

#include <sys/single_threaded.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/spawn_child.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::launch {

/// Threads: safe, but for name and daemon flag before the start.
class ProcessRecord {
 public:
  /// How it differs from its parent. Without a method, the program's own counts.
  struct Options {
    std::optional<StartMethod> method = std::nullopt;
    ChildSetup setup = {};
    std::array<Stream, 3> streams = {};
  };

  /// `handed`: the ends of pipes that the target has.
  ProcessRecord(std::shared_ptr<Identity> who, Options options, std::unique_ptr<Target> target,
                channel::Heirlooms handed = {})
      : who_(std::move(who)),
        creator_(this_incarnation()),
        options_(std::move(options)),
        handed_(std::move(handed)),
        target_(std::move(target)) {}

  ProcessRecord(ProcessRecord const&) = delete;
  ProcessRecord& operator=(ProcessRecord const&) = delete;
  ~ProcessRecord() {
    if (pipes_ != nullptr) pipes_->close();
  }

  /// The process that asks about itself.
  static std::shared_ptr<ProcessRecord> of_this_process() {
    std::shared_ptr<Identity> const not_owned(std::shared_ptr<void>(), &identity());
    auto record = std::make_shared<ProcessRecord>(not_owned, Options(), nullptr);
    record->phase_ = Phase::Self;
    return record;
  }

  Identity& who() noexcept { return *who_; }

  /// A forked child calls `run`, another one its target. Throws: std::logic_error when started
  /// before, std::invalid_argument when closed; as spawn_child(), fork_child().
  template <class Run>
  void start(Run const& run) {
    if (creator_ != this_incarnation()) {
      throw std::logic_error("Process.start: can only start a process object of this process");
    }
    std::unique_ptr<Target> done;  // what the arguments held, dropped when nothing is locked
    std::lock_guard const guard(mutex_);
    require_open("start");
    if (phase_ != Phase::Initial) {
      throw std::logic_error("Process.start: cannot start " + who_->name + " twice");
    }
    child_ = make_child(run);
    phase_ = Phase::Started;
    done.swap(target_);
  }

  StartMethod start_method() const {
    return options_.method ? *options_.method : DefaultMethod::instance().get();
  }

  /// Throws: TypeError, unless the process is going to be forked.
  void require_fork() const {
    if (start_method() == StartMethod::fork) return;
    throw TypeError("Process.start: " + who_->name +
                    " is of a class with a run() of its own, which other start methods than fork "
                    "do not send; give Process a function");
  }

  /// In the child.
  void run_target() { target_->run(); }

  /// The parent's end of a standard stream's pipe. Throws: std::logic_error when there is none.
  int pipe(std::size_t stream, char const* call) {
    require_creator(call);
    std::lock_guard const guard(mutex_);
    require_open(call);
    if (pipes_ == nullptr || !pipes_->ends[stream]) {
      throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                             " was not started with a pipe there");
    }
    return pipes_->ends[stream].get();
  }

  /// Blocks: until it ends or the deadline passes. Whether it has ended.
  bool join_until(base::Deadline deadline) {
    if (is_self()) throw std::logic_error("Process.join: cannot join the current process");
    return started_child("join")->wait_until(deadline).has_value();
  }

  std::optional<ExitStatus> exit_status() {
    auto const child = child_if_started("exit_status");
    return child == nullptr ? std::nullopt : child->poll();
  }

  bool is_alive() {
    if (is_self()) return true;
    auto const child = child_if_started("is_alive");
    return child != nullptr && !child->poll();
  }

  std::optional<pid_t> pid() {
    if (is_self()) return os::this_pid();
    auto const child = child_if_started("pid");
    return child == nullptr ? std::nullopt : std::optional(child->pid());
  }

  int sentinel() { return started_child("sentinel")->sentinel(); }

  void send(char const* call, int signal) {
    if (is_self()) {
      os::raise_signal(signal);
    } else {
      started_child(call)->send(signal);
    }
  }

  void kill_tree() {
    if (is_self()) throw std::logic_error("Process.kill_tree: this is the current process");
    started_child("kill_tree")->kill_tree();
  }

  void close() {
    if (is_self()) throw std::logic_error("Process.close: cannot close the current process");
    std::unique_ptr<Target> done;  // as in start()
    require_creator("close");
    std::lock_guard const guard(mutex_);
    if (child_ && !child_->poll()) {
      throw std::invalid_argument("Process.close: " + who_->name +
                                  " is still running; join() or terminate() it first");
    }
    phase_ = Phase::Closed;
    done.swap(target_);
    child_.reset();
    if (pipes_ != nullptr) pipes_->close();
    pipes_.reset();
  }

  void require_open(char const* call) const {
    if (phase_ == Phase::Closed) {
      throw std::invalid_argument("Process." + std::string(call) + ": process object is closed");
    }
  }

  /// For the log. REQUIRES, here and below: the caller has locked nothing.
  void log_start() {
    if (auto const child = child_to_log()) {
      log(LogLevel::debug, "process ", who_->name, " (pid ", child->pid(), ") started");
    }
  }
  /// Once, and only when it has ended.
  void log_end() {
    auto const child = child_to_log();
    auto const status = child == nullptr ? std::nullopt : child->poll();
    if (!status || is_end_logged_.exchange(true)) return;
    log(LogLevel::debug, "process ", who_->name, " (pid ", child->pid(), ") ended: ", *status);
  }

  /// As Python prints it: "initial", "started pid=7", "stopped pid=7 exited with code 0", "closed";
  /// "unknown" for who is not the creator.
  std::string describe() {
    if (is_self()) return "started pid=" + std::to_string(os::this_pid());
    if (creator_ != this_incarnation()) return "unknown";
    std::lock_guard const guard(mutex_);
    if (phase_ == Phase::Closed) return "closed";
    if (child_ == nullptr) return "initial";
    auto const pid = " pid=" + std::to_string(child_->pid());
    auto const status = child_->poll();
    return status ? "stopped" + pid + " " + status->to_string() : "started" + pid;
  }

 private:
  enum class Phase { Initial, Started, Closed, Self };

  /// REQUIRES: mutex_.
  template <class Run>
  std::unique_ptr<Child> make_child(Run const& run) {
    auto setup = options_.setup;
    setup.dies_with_parent |= who_->daemon;
    setup.sigint = as_parent_allows(setup.sigint);
    ChildFds fds(options_.streams, setup.dies_with_parent);
    auto child = make_child(run, setup, fds);
    pipes_ = fds.pipes();
    return child;
  }
  template <class Run>
  std::unique_ptr<Child> make_child(Run const& run, ChildSetup const& setup, ChildFds& fds) {
    auto const method = start_method();
    if (method != StartMethod::fork) return start_afresh(method, {*who_, *target_, setup, fds});
    if (setup.is_empty() && fds.present() == 0) {
      auto const body = [&] {
        channel::keep_only(handed_);
        run();
        return 0;
      };
      return fork_child(who_, body, setup.sigint);
    }
    return fork_set_up(run, setup, fds);
  }
  /// Blocks: until the child is as it should be.
  template <class Run>
  std::unique_ptr<Child> fork_set_up(Run const& run, ChildSetup const& setup, ChildFds& fds) {
    auto socket = os::SocketPair::create();
    auto const body = [&] {
      socket.near.reset();
      if (!become_as_told(socket.far, [&] { apply(setup, fds); })) return 1;
      socket.far.reset();
      fds.close();
      channel::keep_only(handed_);
      run();
      return 0;
    };
    auto child = fork_child(who_, body, setup.sigint);
    socket.far.reset();
    await_ready(*child, socket.near, who_->name);
    return child;
  }

  bool is_self() const noexcept { return phase_ == Phase::Self; }

  // Looked at before any lock: in a child the parent's mutexes may be locked for ever, this one by
  // the very start() that made it.
  void require_creator(char const* call) const {
    if (creator_ != this_incarnation()) {
      throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                             " is not a child of this process");
    }
  }

  /// null: there is none, or nobody wants to know.
  std::shared_ptr<Child> child_to_log() {
    if (!Logger::of_this_process().is_enabled_for(LogLevel::debug)) return nullptr;
    if (is_self() || creator_ != this_incarnation()) return nullptr;
    std::lock_guard const guard(mutex_);
    return child_;
  }

  std::shared_ptr<Child> child_if_started(char const* call) {
    require_creator(call);
    std::lock_guard const guard(mutex_);
    require_open(call);
    return child_;
  }

  std::shared_ptr<Child> started_child(char const* call) {
    auto const child = child_if_started(call);
    if (child == nullptr) {
      throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                             " has not been started");
    }
    return child;
  }

  // constant after construction
  std::shared_ptr<Identity> const who_;
  Incarnation const creator_;
  Options const options_;
  channel::Heirlooms const handed_;

  std::atomic<bool> is_end_logged_{false};
  std::mutex mutex_;
  std::atomic<Phase> phase_{Phase::Initial};  // written under mutex_
  std::unique_ptr<Target> target_;            // guarded by mutex_
  std::shared_ptr<Child> child_;              // guarded by mutex_; null before and after
  std::shared_ptr<ChildFds::Pipes> pipes_;    // guarded by mutex_; null before the start
};

/// Says once what a fork of a process with several threads may lead to. For who has locked nothing.
inline void warn_of_threads() noexcept {
  static std::atomic<bool> has_warned{false};
  if (__libc_single_threaded || has_warned.load()) return;
  try {
    auto const threads = os::number_after(os::read_text_file("/proc/self/status"), "Threads:");
    if (threads.value_or(1) < 2 || has_warned.exchange(true)) return;
    log(LogLevel::warning, "a process with ", *threads,
        " threads is forked: what the others have locked stays locked in the child, which may wait "
        "for it for ever; start method spawn or forkserver has no such risk");
  } catch (std::exception const&) {  // it is a warning only
  }
}

/// The children of this process that were started and not yet seen to end, so that a dropped
/// handle leaves neither zombie nor orphan.
class Children {
 public:
  static Children& of_this_process() {
    // Never freed: processes may still be started while static objects are destroyed.
    static std::atomic<Children*> instance{nullptr};
    Children* current = instance.load();
    // After a fork the list belongs to the parent; its mutex may even be locked. Start afresh.
    if (current == nullptr || current->owner_ != this_incarnation()) {
      auto* const fresh = new Children;
      if (!instance.compare_exchange_strong(current, fresh)) {
        delete fresh;
        return *current;
      }
      fresh->finish_at_exit();
      return *fresh;
    }
    return *current;
  }

  using Records = std::list<std::shared_ptr<ProcessRecord>>;

  /// Starts the process and lists it: both, or neither.
  template <class Run>
  void start(std::shared_ptr<ProcessRecord> const& record, Run const& run) {
    Records place{record};  // so that nothing can fail once the process runs
    Records ended;
    {
      std::lock_guard const guard(mutex_);
      ended = forget_ended();
    }
    log_ends(ended);
    if (record->start_method() == StartMethod::fork) warn_of_threads();
    record->start(run);
    {
      std::lock_guard const guard(mutex_);
      records_.splice(records_.end(), place);
    }
    record->log_start();
  }

  /// Stops listing it once it has ended: from then on its handles alone keep it.
  void forget_if_ended(std::shared_ptr<ProcessRecord> const& record) {
    std::lock_guard const guard(mutex_);
    auto const place = std::find(records_.begin(), records_.end(), record);
    if (place != records_.end() && !is_running(*record)) records_.erase(place);
  }

  /// Reaps those that have ended.
  Records alive() {
    Records ended;
    Records running;
    {
      std::lock_guard const guard(mutex_);
      ended = forget_ended();
      running = records_;
    }
    log_ends(ended);
    return running;
  }

 private:
  Children() = default;

  // How long the daemons may take together to end after SIGTERM before they get SIGKILL: enough to
  // write a file, and no more than a user waits for a program's end.
  static constexpr std::chrono::seconds kGrace{1};

  void finish_at_exit() {
    if (leaves_by_hook()) {
      before_leaving() = [] { of_this_process().finish(); };
    } else {
      os::register_at_exit([] { of_this_process().finish(); });
    }
  }

  /// Ends the daemons, then waits for the others, which may themselves wait for a daemon's end.
  void finish() {
    auto const records = alive();
    auto const for_each = [&](bool daemons, auto const& action) {
      for (auto const& record : records) {
        if (record->who().daemon == daemons) quietly([&] { action(*record); });
      }
    };
    for_each(true, [](auto& daemon) { daemon.send("terminate", SIGTERM); });
    auto const grace = base::Deadline::after(kGrace);
    for_each(true, [&](auto& daemon) {
      if (!daemon.join_until(grace)) daemon.send("kill", SIGKILL);
      daemon.join_until(base::Deadline::never());
    });
    for_each(false, [](auto& other) { other.join_until(base::Deadline::never()); });
    log_ends(records);
  }

  /// A handle may be closed under our hands; then there is nothing to finish.
  static void quietly(auto const& action) {
    try {
      action();
    } catch (std::exception const&) {
    }
  }

  /// Those that it does not list any more. REQUIRES: mutex_.
  Records forget_ended() {
    Records ended;
    for (auto next = records_.begin(); next != records_.end();) {
      auto const record = next++;
      if (!is_running(**record)) ended.splice(ended.end(), records_, record);
    }
    return ended;
  }
  static void log_ends(Records const& records) {
    for (auto const& record : records) quietly([&] { record->log_end(); });
  }

  static bool is_running(ProcessRecord& record) {
    try {
      return record.is_alive();
    } catch (std::invalid_argument const&) {  // closed
      return false;
    }
  }

  Incarnation const owner_ = this_incarnation();
  std::mutex mutex_;
  Records records_;  // guarded by mutex_
};

}  // namespace multiprocessing::launch
