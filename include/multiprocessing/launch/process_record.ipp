// SPDX-License-Identifier: BSL-1.0
// The bodies of process_record.hpp.
#pragma once

#include <sys/single_threaded.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/fork_server.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/process_record.hpp>
#include <multiprocessing/launch/spawn_child.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::launch {

namespace process_record_detail {
/// A handle may be closed under our hands; then there is nothing to finish.
inline void quietly(auto const& action) {
  try {
    action();
  } catch (std::exception const&) {
  }
}
}  // namespace process_record_detail

MULTIPROCESSING_INLINE ProcessRecord::~ProcessRecord() {
  if (pipes_ != nullptr) pipes_->close();
}

MULTIPROCESSING_INLINE std::shared_ptr<ProcessRecord> ProcessRecord::of_this_process() {
  std::shared_ptr<Identity> const not_owned(std::shared_ptr<void>(), &identity());
  auto record = std::make_shared<ProcessRecord>(not_owned, Options(), nullptr);
  record->phase_ = Phase::Self;
  return record;
}

MULTIPROCESSING_INLINE void ProcessRecord::start(std::function<void()> const& run) {
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

MULTIPROCESSING_INLINE StartMethod ProcessRecord::start_method() const {
  return options_.method ? *options_.method : DefaultMethod::instance().get();
}

MULTIPROCESSING_INLINE void ProcessRecord::require_fork() const {
  if (start_method() == StartMethod::fork) return;
  throw TypeError("Process.start: " + who_->name +
                  " is of a class with a run() of its own, which other start methods than fork "
                  "do not send; give Process a function");
}

MULTIPROCESSING_INLINE int ProcessRecord::pipe(std::size_t stream, char const* call) {
  require_creator(call);
  std::lock_guard const guard(mutex_);
  require_open(call);
  if (pipes_ == nullptr || !pipes_->ends[stream]) {
    throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                           " was not started with a pipe there");
  }
  return pipes_->ends[stream].get();
}

MULTIPROCESSING_INLINE bool ProcessRecord::join_until(base::Deadline deadline) {
  if (is_self()) throw std::logic_error("Process.join: cannot join the current process");
  return started_child("join")->wait_until(deadline).has_value();
}

MULTIPROCESSING_INLINE std::optional<ExitStatus> ProcessRecord::exit_status() {
  auto const child = child_if_started("exit_status");
  return child == nullptr ? std::nullopt : child->poll();
}

MULTIPROCESSING_INLINE bool ProcessRecord::is_alive() {
  if (is_self()) return true;
  auto const child = child_if_started("is_alive");
  return child != nullptr && !child->poll();
}

MULTIPROCESSING_INLINE std::optional<pid_t> ProcessRecord::pid() {
  if (is_self()) return os::this_pid();
  auto const child = child_if_started("pid");
  return child == nullptr ? std::nullopt : std::optional(child->pid());
}

MULTIPROCESSING_INLINE int ProcessRecord::sentinel() {
  return started_child("sentinel")->sentinel();
}

MULTIPROCESSING_INLINE void ProcessRecord::send(char const* call, int signal) {
  if (is_self()) {
    os::raise_signal(signal);
  } else {
    started_child(call)->send(signal);
  }
}

MULTIPROCESSING_INLINE void ProcessRecord::kill_tree() {
  if (is_self()) throw std::logic_error("Process.kill_tree: this is the current process");
  started_child("kill_tree")->kill_tree();
}

MULTIPROCESSING_INLINE void ProcessRecord::close() {
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

MULTIPROCESSING_INLINE void ProcessRecord::require_open(char const* call) const {
  if (phase_ == Phase::Closed) {
    throw std::invalid_argument("Process." + std::string(call) + ": process object is closed");
  }
}

MULTIPROCESSING_INLINE void ProcessRecord::log_start() {
  if (auto const child = child_to_log()) {
    log(LogLevel::debug, "process ", who_->name, " (pid ", child->pid(), ") started");
  }
}

MULTIPROCESSING_INLINE void ProcessRecord::log_end() {
  auto const child = child_to_log();
  auto const status = child == nullptr ? std::nullopt : child->poll();
  if (!status || is_end_logged_.exchange(true)) return;
  log(LogLevel::debug, "process ", who_->name, " (pid ", child->pid(), ") ended: ", *status);
}

MULTIPROCESSING_INLINE std::string ProcessRecord::describe() {
  if (is_self()) return "started pid=" + std::to_string(os::this_pid());
  if (creator_ != this_incarnation()) return "unknown";
  std::lock_guard const guard(mutex_);
  if (phase_ == Phase::Closed) return "closed";
  if (child_ == nullptr) return "initial";
  auto const pid = " pid=" + std::to_string(child_->pid());
  auto const status = child_->poll();
  return status ? "stopped" + pid + " " + status->to_string() : "started" + pid;
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> ProcessRecord::make_child(
    std::function<void()> const& run) {
  auto setup = options_.setup;
  setup.dies_with_parent |= who_->daemon;
  setup.sigint = as_parent_allows(setup.sigint);
  ChildFds fds(options_.streams, setup.dies_with_parent);
  auto child = make_child(run, setup, fds);
  pipes_ = fds.pipes();
  return child;
}

MULTIPROCESSING_INLINE std::unique_ptr<Child> ProcessRecord::make_child(
    std::function<void()> const& run, ChildSetup const& setup, ChildFds& fds) {
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

MULTIPROCESSING_INLINE std::unique_ptr<Child> ProcessRecord::fork_set_up(
    std::function<void()> const& run, ChildSetup const& setup, ChildFds& fds) {
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

MULTIPROCESSING_INLINE void ProcessRecord::require_creator(char const* call) const {
  if (creator_ != this_incarnation()) {
    throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                           " is not a child of this process");
  }
}

MULTIPROCESSING_INLINE std::shared_ptr<Child> ProcessRecord::child_to_log() {
  if (!Logger::of_this_process().is_enabled_for(LogLevel::debug)) return nullptr;
  if (is_self() || creator_ != this_incarnation()) return nullptr;
  std::lock_guard const guard(mutex_);
  return child_;
}

MULTIPROCESSING_INLINE std::shared_ptr<Child> ProcessRecord::child_if_started(char const* call) {
  require_creator(call);
  std::lock_guard const guard(mutex_);
  require_open(call);
  return child_;
}

MULTIPROCESSING_INLINE std::shared_ptr<Child> ProcessRecord::started_child(char const* call) {
  auto const child = child_if_started(call);
  if (child == nullptr) {
    throw std::logic_error("Process." + std::string(call) + ": " + who_->name +
                           " has not been started");
  }
  return child;
}

MULTIPROCESSING_INLINE void warn_of_threads() noexcept {
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

MULTIPROCESSING_INLINE Children& Children::of_this_process() {
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

MULTIPROCESSING_INLINE void Children::start(std::shared_ptr<ProcessRecord> const& record,
                                            std::function<void()> const& run) {
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

MULTIPROCESSING_INLINE void Children::forget_if_ended(
    std::shared_ptr<ProcessRecord> const& record) {
  std::lock_guard const guard(mutex_);
  auto const place = std::find(records_.begin(), records_.end(), record);
  if (place != records_.end() && !is_running(*record)) records_.erase(place);
}

MULTIPROCESSING_INLINE Children::Records Children::alive() {
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

MULTIPROCESSING_INLINE void Children::finish_at_exit() {
  if (leaves_by_hook()) {
    before_leaving() = [] { of_this_process().finish(); };
  } else {
    os::register_at_exit([] { of_this_process().finish(); });
  }
}

MULTIPROCESSING_INLINE void Children::finish() {
  auto const records = alive();
  auto const for_each = [&](bool daemons, auto const& action) {
    for (auto const& record : records) {
      if (record->who().daemon == daemons) process_record_detail::quietly([&] { action(*record); });
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

MULTIPROCESSING_INLINE Children::Records Children::forget_ended() {
  Records ended;
  for (auto next = records_.begin(); next != records_.end();) {
    auto const record = next++;
    if (!is_running(**record)) ended.splice(ended.end(), records_, record);
  }
  return ended;
}

MULTIPROCESSING_INLINE void Children::log_ends(Records const& records) {
  for (auto const& record : records) process_record_detail::quietly([&] { record->log_end(); });
}

MULTIPROCESSING_INLINE bool Children::is_running(ProcessRecord& record) {
  try {
    return record.is_alive();
  } catch (std::invalid_argument const&) {  // closed
    return false;
  }
}

}  // namespace multiprocessing::launch
