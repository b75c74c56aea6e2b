// SPDX-License-Identifier: BSL-1.0
// Starting a child by another run of the program.
//
//   parent                                  child
//   write the letter, claim a place
//   posix_spawn --------------------------> main(): init(argc, argv)
//   admission, the letter's place --------> enter the heap, become who it is, read the target
//   start() returns <---------------------- ready; or what went wrong
//                                           run the target, std::exit
//
// Failure   child killed or left before it is ready: start() says how. Parent killed: the child
//           finds the socket closed, or is ready and goes on.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/letter.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/handoff.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/spawn.hpp>
#include <multiprocessing/shm/heap.hpp>

namespace multiprocessing::launch {

/// What is run for a child. Threads: safe.
class Executable {
 public:
  static Executable& instance() {
    static auto* const instance = new Executable;  // outlives all static destructors
    return *instance;
  }

  std::string path() {
    std::lock_guard const guard(mutex_);
    return path_;
  }
  void set(std::string path) {
    std::lock_guard const guard(mutex_);
    path_ = std::move(path);
  }

 private:
  std::mutex mutex_;
  std::string path_ = os::kThisProgram;  // guarded by mutex_
};

/// Whether main() has called init().
inline std::atomic<bool>& is_initialized() noexcept {
  static std::atomic<bool> initialized{false};
  return initialized;
}

namespace spawn_detail {

/// What a child that is not a copy says of itself before it runs its target: that it is there, or
/// why not.
struct Report {
  static constexpr std::size_t kLongestText = 4000;

  pid_t pid = 0;
  bool is_ready = false;
  std::array<char, kLongestText> text{};
};

inline void require_init() {
  if (is_initialized().load()) return;
  throw std::logic_error(
      "Process.start: main() does not call multiprocessing::init(argc, argv) first, by which a "
      "process that is not forked finds what it was started for");
}

inline std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    variables.emplace_back(*variable);
  }
  return variables;
}

/// Throws: ProcessDied.
[[noreturn]] inline void throw_unready(Child& child, std::string const& name, std::string why) {
  auto const status = child.wait_until(base::Deadline::never());
  if (why.empty()) {
    why = status->to_string() + " before it had begun";
    if (status->exited()) why += " (does its main() call multiprocessing::init(argc, argv) first?)";
  }
  throw ProcessDied("Process.start: " + name + " " + why, child.pid(), status->exitcode());
}

}  // namespace spawn_detail

/// Blocks: until the child has become what it was told. Throws: ProcessDied when it ended, or said
/// what went wrong.
inline void await_ready(Child& child, os::Fd const& socket, std::string const& name) {
  std::array<pollfd, 2> fds{{{socket.get(), POLLIN, 0}, {child.sentinel_if_any(), POLLIN, 0}}};
  os::poll_until(fds, base::Deadline::never());
  spawn_detail::Report report;
  auto const room = std::as_writable_bytes(std::span(&report, 1));
  // Looked at again: what it said may have come between the looks at both.
  auto const message =
      os::is_readable(socket) ? os::receive_with_fds(socket, room) : os::FdMessage{};
  if (message.size == sizeof report && report.is_ready) return;
  spawn_detail::throw_unready(
      child, name,
      message.size == sizeof report ? "can not begin: " + std::string(report.text.data()) : "");
}

/// A child, and the near end of the socket that it has at first.
struct Spawned {
  std::unique_ptr<Child> child;
  os::Fd socket;
};

/// What is to be started: everything but the way.
struct Birth {
  Identity const& who;
  Target const& target;
  ChildSetup const& setup;
  ChildFds const& fds;
};

/// Starts a child. Blocks: until it is about to run its target.
/// Throws: std::logic_error when main() does not call init(); TypeError when the target can not be
/// sent; ProcessDied when the child can not begin; std::system_error; std::bad_alloc.
inline Spawned spawn_with_socket(Birth const& birth) {
  spawn_detail::require_init();
  auto const& who = birth.who;
  WrittenLetter const letter(who, birth.setup, birth.fds, birth.target);
  auto const environment = spawn_detail::environment();
  auto& heap = shm::Heap::instance();
  os::flush_standard_streams();
  os::SocketPair socket;
  pid_t pid = shm::Heap::kNoProcess;
  {
    // No child that is forked meanwhile keeps the far end open.
    os::ForkGateGuard const gate;
    socket = os::SocketPair::create();
    auto const place = heap.admit(socket.near);
    base::ScopeGuard const note([&] { heap.note_admitted(place, pid); });
    letter.send(socket.near);
    pid = os::spawn_program(
        Executable::instance().path(),
        {program_invocation_name, os::kHandoffFlag, std::to_string(os::kHandoffFd), who.name},
        environment, socket.far);
    socket.far.reset();
  }
  auto child = std::make_unique<Child>(pid);
  await_ready(*child, socket.near, who.name);
  return {std::move(child), std::move(socket.near)};
}
inline std::unique_ptr<Child> spawn_child(Birth const& birth) {
  return spawn_with_socket(birth).child;
}

namespace spawn_detail {

/// What this process was started for. `parent`: where that is not the one that forked it.
/// Throws: as read_letter(), Heap::instance().
inline std::unique_ptr<Target> begin(os::Fd const& socket,
                                     std::shared_ptr<os::Fd const> const& parent) {
  shm::Heap::instance();  // takes what came before the letter
  LetterPlace place;
  auto message = os::receive_with_fds(socket, std::as_writable_bytes(std::span(&place, 1)));
  if (message.size != sizeof place) throw Error("the program that started this one is gone");
  if (message.is_cut) os::throw_error(EMFILE, "recvmsg", "the descriptors of its streams");
  // Outlive all static destructors; a fork server's child has the server's, too.
  static auto* const letters = new std::vector<Letter>;
  auto* const letter = &letters->emplace_back(read_letter(place));
  letter->who->parent_pidfd = parent;
  DefaultMethod::instance().force(letter->default_method);
  become(*letter->who);
  os::set_command_name(letter->who->name.c_str());
  apply(letter->setup, ChildFds(place.present, std::move(message.fds)));
  apply_log_settings(letter->log_settings);
  return std::move(letter->target);
}

inline void report(os::Fd const& socket, bool is_ready, std::string const& text = {}) noexcept {
  Report report{os::this_pid(), is_ready, {}};
  text.copy(report.text.data(), report.text.size() - 1);
  static_cast<void>(  // the parent may be gone
      os::try_send_with_fds(socket, std::as_bytes(std::span(&report, 1))));
}

}  // namespace spawn_detail

/// In a child: does what comes before its target, and tells the parent whether that went well.
template <class Begin>
bool become_as_told(os::Fd const& socket, Begin const& begin) noexcept {
  using spawn_detail::report;
  try {
    begin();
    report(socket, true);
    return true;
  } catch (std::exception const& error) {
    report(socket, false, base::type_name(typeid(error)) + ": " + base::text_of(error));
  } catch (...) {
    report(socket, false, base::current_exception_type_name());
  }
  return false;
}

/// Does what the letter says whose place comes through the socket. `parent`: where that is not the
/// process that forked this one. The exit code.
inline int live_by_letter(os::Fd& socket, std::shared_ptr<os::Fd const> const& parent = nullptr) {
  std::unique_ptr<Target> target;
  if (!become_as_told(socket, [&] { target = spawn_detail::begin(socket, parent); })) return 1;
  if (!target->wants_socket()) socket.reset();
  log(LogLevel::debug, "process started");
  auto const body = [&] {
    target->run();
    return 0;
  };
  int const code = fork_detail::run_body(body);
  target.reset();
  if (!leaves_by_hook()) log(LogLevel::debug, "process ending with exit code ", code & 0xFF);
  return code;
}

/// In a process that was started by spawn_child(): does what it was started for, and ends it.
inline void live_if_spawned(int argc, char const* const* argv) {
  is_initialized() = true;
  if (!os::has_handoff(argc, argv)) return;
  if (os::handoff()) os::exit_normally(live_by_letter(os::handoff()));
  os::write_to_stderr("multiprocessing: " + std::string(os::kHandoffFlag) +
                      " is for processes that multiprocessing starts\n");
  os::exit_now(1);
}

}  // namespace multiprocessing::launch
