// SPDX-License-Identifier: BSL-1.0
// Starting a child by fork, and everything a child does around the code it was started for.
//
//   parent                              child
//   flush standard streams
//   fork ------------------------------ become its identity, forget the parent's children,
//   open the pidfd                      empty standard input, default signal handling
//                                       run the body; an exception is printed, exit code 1
//                                       std::exit: what the child itself had registered runs,
//                                       its children are joined, streams flushed, then _exit
//
// Most of what every child runs is [[gnu::hot]], so that it lies side by side: a child starts with
// none of the program's pages, and each 64 KiB (what the kernel maps around a fault) costs a fault.
//
// The child never unwinds the parent's stack, nor runs what the parent had registered with atexit,
// nor its static destructors, also when user code calls std::exit. Only destructors of thread-local
// objects of the forking thread run in the child, too: the C library knows no way around them.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/launch/child.hpp>
#include <multiprocessing/launch/exit_request.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/stdio.hpp>

namespace multiprocessing::launch {

/// What a child does before it leaves; the registry of children puts itself here.
using LeavingHook = void (*)();
inline LeavingHook& before_leaving() {
  static LeavingHook hook = nullptr;
  return hook;
}

/// Whether this process leaves by that: it was forked by this library. A program of its own has
/// atexit.
inline bool& leaves_by_hook() noexcept {
  static bool by_hook = false;
  return by_hook;
}

/// The last thing that std::exit does in a forked child.
[[noreturn]] inline void leave(int code) noexcept {
  if (auto* const hook = before_leaving()) hook();
  log(LogLevel::debug, "process ending with exit code ", code & 0xFF);
  os::flush_standard_streams();
  os::exit_now(code);
}

namespace fork_detail {

/// REQUIRES: called while an exception is handled.
inline void report_uncaught() noexcept {
  try {
    std::string text = identity().name + " (pid " + std::to_string(os::this_pid()) +
                       "): uncaught " + base::current_exception_type_name();
    try {
      throw;
    } catch (std::exception const& error) {
      text.append(": ").append(base::text_of(error));
    } catch (...) {  // the type is all there is to tell
    }
    os::flush_standard_streams();
    os::write_to_stderr("Process " + text + "\n");
  } catch (...) {
    os::write_to_stderr("Process: uncaught exception, and no memory to describe it\n");
  }
}

template <class Body>
[[gnu::hot]] int run_body(Body& body) noexcept {
  try {
    return body();
  } catch (ExitRequest const& request) {
    return request.code;
  } catch (...) {
    report_uncaught();
    return 1;
  }
}

template <class Body>
[[noreturn, gnu::hot]] void child_main(Identity& who, os::Fd null, SigintPolicy sigint,
                                       Body& body) noexcept {
  before_leaving() = nullptr;
  leaves_by_hook() = true;
  become(who);
  start_from_clean_slate(sigint);
  os::replace_standard_input(std::move(null));
  os::intercept_exit([](int code, void*) { leave(code); });
  if (!who.name.empty()) {
    os::set_command_name(who.name.c_str());
    log(LogLevel::debug, "process started");
  }
  os::exit_normally(run_body(body));
}

}  // namespace fork_detail

/// Starts a child that is `who` and runs `body`, a callable that returns the exit code. One without
/// a name becomes somebody else in `body`, which logs that it has started.
/// Blocks: no. Throws: std::system_error when no process can be made.
template <class Body>
[[gnu::hot]] std::unique_ptr<Child> fork_child(std::shared_ptr<Identity> who, Body& body,
                                               SigintPolicy sigint = SigintPolicy::terminate) {
  os::Fd null = os::open_null();
  os::flush_standard_streams();
  os::SignalBlock const block;  // until the child has none of the handlers
  pid_t const pid = os::fork_process();
  if (pid == 0) fork_detail::child_main(*who, std::move(null), sigint, body);
  null.reset();  // makes room for the pidfd
  return std::make_unique<Child>(pid);
}

}  // namespace multiprocessing::launch
