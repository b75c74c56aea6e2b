// SPDX-License-Identifier: BSL-1.0
// What stands behind every handle to a Process, and the list of those that run.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child_setup.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>

namespace multiprocessing::launch {

class Child;  // see launch/child.hpp

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
  ~ProcessRecord();

  /// The process that asks about itself.
  static std::shared_ptr<ProcessRecord> of_this_process();

  Identity& who() noexcept { return *who_; }

  /// A forked child calls `run`, another one its target. Throws: std::logic_error when started
  /// before, std::invalid_argument when closed; as spawn_child(), fork_child().
  void start(std::function<void()> const& run);

  StartMethod start_method() const;

  /// Throws: TypeError, unless the process is going to be forked.
  void require_fork() const;

  /// In the child.
  void run_target() { target_->run(); }

  /// The parent's end of a standard stream's pipe. Throws: std::logic_error when there is none.
  int pipe(std::size_t stream, char const* call);

  /// Blocks: until it ends or the deadline passes. Whether it has ended.
  bool join_until(base::Deadline deadline);

  std::optional<ExitStatus> exit_status();

  bool is_alive();

  std::optional<pid_t> pid();

  int sentinel();

  void send(char const* call, int signal);

  void kill_tree();

  void close();

  void require_open(char const* call) const;

  /// For the log. REQUIRES, here and below: the caller has locked nothing.
  void log_start();
  /// Once, and only when it has ended.
  void log_end();

  /// As Python prints it: "initial", "started pid=7", "stopped pid=7 exited with code 0", "closed";
  /// "unknown" for who is not the creator.
  std::string describe();

 private:
  enum class Phase { Initial, Started, Closed, Self };

  /// REQUIRES: mutex_.
  std::unique_ptr<Child> make_child(std::function<void()> const& run);
  std::unique_ptr<Child> make_child(std::function<void()> const& run, ChildSetup const& setup,
                                    ChildFds& fds);
  /// Blocks: until the child is as it should be.
  std::unique_ptr<Child> fork_set_up(std::function<void()> const& run, ChildSetup const& setup,
                                     ChildFds& fds);

  bool is_self() const noexcept { return phase_ == Phase::Self; }

  // Looked at before any lock: in a child the parent's mutexes may be locked for ever, this one by
  // the very start() that made it.
  void require_creator(char const* call) const;

  /// null: there is none, or nobody wants to know.
  std::shared_ptr<Child> child_to_log();

  std::shared_ptr<Child> child_if_started(char const* call);

  std::shared_ptr<Child> started_child(char const* call);

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
void warn_of_threads() noexcept;

/// The children of this process that were started and not yet seen to end, so that a dropped
/// handle leaves neither zombie nor orphan.
class Children {
 public:
  static Children& of_this_process();

  using Records = std::list<std::shared_ptr<ProcessRecord>>;

  /// Starts the process and lists it: both, or neither.
  void start(std::shared_ptr<ProcessRecord> const& record, std::function<void()> const& run);

  /// Stops listing it once it has ended: from then on its handles alone keep it.
  void forget_if_ended(std::shared_ptr<ProcessRecord> const& record);

  /// Reaps those that have ended.
  Records alive();

 private:
  Children() = default;

  // How long the daemons may take together to end after SIGTERM before they get SIGKILL: enough to
  // write a file, and no more than a user waits for a program's end.
  static constexpr std::chrono::seconds kGrace{1};

  void finish_at_exit();

  /// Ends the daemons, then waits for the others, which may themselves wait for a daemon's end.
  void finish();

  /// Those that it does not list any more. REQUIRES: mutex_.
  Records forget_ended();
  static void log_ends(Records const& records);

  static bool is_running(ProcessRecord& record);

  Incarnation const owner_ = this_incarnation();
  std::mutex mutex_;
  Records records_;  // guarded by mutex_
};

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/process_record.ipp>
#endif
