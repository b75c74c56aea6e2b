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
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/fork_child.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/letter.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/os/fd_message.hpp>
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

/// What the child says before it runs the target: nothing, or what went wrong.
inline constexpr std::size_t kLongestReport = 4096;

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

/// Blocks: until the child is ready. Throws: ProcessDied when it ended, or said what went wrong.
inline void await_ready(Child& child, os::Fd const& socket, std::string const& name) {
  auto const fail = [&](std::string const& why) {
    auto const status = child.wait_until(base::Deadline::never());
    throw ProcessDied("Process.start: " + name + " " + why, child.pid(), status->exitcode());
  };
  std::array<pollfd, 2> fds{{{socket.get(), POLLIN, 0}, {child.sentinel_if_any(), POLLIN, 0}}};
  os::poll_until(fds, base::Deadline::never());
  std::array<std::byte, kLongestReport> report;
  auto const message = fds[0].revents != 0 ? os::receive_with_fds(socket, report, MSG_DONTWAIT)
                                           : os::FdMessage{};
  if (message.size == 0) {
    auto const status = child.wait_until(base::Deadline::never());
    fail(status->to_string() +
         " before it had begun (does its main() call multiprocessing::init(argc, argv) first?)");
  }
  if (message.size > 1) {
    fail("can not begin: " +
         std::string(reinterpret_cast<char const*>(report.data()) + 1, message.size - 1));
  }
}

}  // namespace spawn_detail

/// Starts a child that is `who` and runs `target`. Blocks: until it is about to do so.
/// Throws: std::logic_error when main() does not call init(); TypeError when the target can not be
/// sent; ProcessDied when the child can not begin; std::system_error; std::bad_alloc.
inline std::unique_ptr<Child> spawn_child(Identity const& who, Target const& target) {
  spawn_detail::require_init();
  WrittenLetter const letter(who, target);
  auto socket = os::SocketPair::create();
  auto& heap = shm::Heap::instance();
  auto const place = heap.admit(socket.near);
  pid_t pid = shm::Heap::kNoProcess;
  {
    base::ScopeGuard const note([&] { heap.note_admitted(place, pid); });
    auto const letter_place = letter.place();
    os::send_with_fds(socket.near, std::as_bytes(std::span(&letter_place, 1)));
    os::flush_standard_streams();
    pid = os::spawn_program(
        Executable::instance().path(),
        {program_invocation_name, os::kHandoffFlag, std::to_string(os::kHandoffFd), who.name},
        spawn_detail::environment(), socket.far);
  }
  socket.far.reset();
  auto child = std::make_unique<Child>(pid);
  spawn_detail::await_ready(*child, socket.near, who.name);
  return child;
}

namespace spawn_detail {

/// What this process was started for; from then on the parent's start() is over.
/// Throws: as read_letter(), Heap::instance().
inline std::unique_ptr<Target> begin(os::Fd& socket) {
  shm::Heap::instance();  // takes what came before the letter
  LetterPlace place;
  auto const message = os::receive_with_fds(socket, std::as_writable_bytes(std::span(&place, 1)));
  if (message.size != sizeof place) throw Error("the program that started this one is gone");
  static auto* const letter = new Letter;  // outlives all static destructors
  *letter = read_letter(place);
  DefaultMethod::instance().force(letter->default_method);
  become(*letter->who);
  os::set_command_name(letter->who->name.c_str());
  apply_log_settings(letter->log_settings);
  return std::move(letter->target);
}

inline void report(os::Fd& socket, std::string text) noexcept {
  text.insert(text.begin(), '\0');
  text.resize(std::min(text.size(), kLongestReport));
  try {
    os::send_with_fds(socket, std::as_bytes(std::span(text)));
  } catch (std::exception const&) {  // the parent is gone
  }
  socket.reset();
}

[[noreturn]] inline void live(os::Fd& socket) noexcept {
  std::unique_ptr<Target> target;
  try {
    target = begin(socket);
    report(socket, {});
  } catch (std::exception const& error) {
    report(socket, base::type_name(typeid(error)) + ": " + base::text_of(error));
    os::exit_now(1);
  } catch (...) {
    report(socket, base::current_exception_type_name());
    os::exit_now(1);
  }
  log(LogLevel::debug, "process started");
  auto const body = [&] {
    target->run();
    return 0;
  };
  int const code = fork_detail::run_body(body);
  target.reset();
  log(LogLevel::debug, "process ending with exit code ", code & 0xFF);
  os::exit_normally(code);
}

}  // namespace spawn_detail

/// In a process that was started by spawn_child(): does what it was started for, and ends it.
inline void live_if_spawned(int argc, char const* const* argv) {
  is_initialized() = true;
  if (!os::has_handoff(argc, argv)) return;
  if (os::handoff()) spawn_detail::live(os::handoff());
  os::write_to_stderr("multiprocessing: " + std::string(os::kHandoffFlag) +
                      " is for processes that multiprocessing starts\n");
  os::exit_now(1);
}

}  // namespace multiprocessing::launch
