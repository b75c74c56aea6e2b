// SPDX-License-Identifier: BSL-1.0
// init(), which main() begins with, and the ways in which processes are started: the program's own.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/server_target.hpp>
#include <multiprocessing/launch/start_method.hpp>  // IWYU pragma: export
#include <multiprocessing/wire/callable.hpp>

namespace multiprocessing {

/// To be called first in main(): in a process that was started by spawn or forkserver it does what
/// that is for, and does not return. Elsewhere it notes that it was called, so that such processes
/// can be started. A program that uses fork alone can do without.
/// Python: multiprocessing.freeze_support, and `if __name__ == "__main__"`
void init(int argc, char const* const* argv);
/// The same.
inline void freeze_support(int argc, char const* const* argv) { init(argc, argv); }

/// Python: the keyword arguments of set_start_method.
struct SetStartMethodOptions {
  /// Also when a method has been set already, or asked for, which fixes it.
  bool force = false;
};

/// The way in which processes are started that are not told otherwise. Children have it, too.
/// Threads: safe. Throws: Error when it is fixed already. Python: multiprocessing.set_start_method
inline void set_start_method(SetStartMethodOptions options, StartMethod method) {
  auto& current = launch::DefaultMethod::instance();
  if (options.force) {
    current.force(method);
  } else if (!current.choose(method)) {
    throw Error("set_start_method: it has been set, or used, already: it is " +
                std::string(to_string(current.get())));
  }
}
inline void set_start_method(StartMethod method) { set_start_method({}, method); }

/// Fixes it: fork, where nothing was set. Python: multiprocessing.get_start_method
inline StartMethod get_start_method() { return launch::DefaultMethod::instance().get(); }

/// The default first. Python: multiprocessing.get_all_start_methods
inline std::vector<StartMethod> get_all_start_methods() {
  return {StartMethod::fork, StartMethod::spawn, StartMethod::forkserver};
}

/// `f` is called in the fork server before it forks anybody: what it loads, all children have, and
/// share as long as they do not write to it. Has to be sent there: see Picklable. Counts for
/// servers that are not started yet. Throws: std::bad_alloc. Python:
/// multiprocessing.set_forkserver_preload, which takes names of modules
template <class F>
void set_forkserver_preload(F f) {
  static_assert(std::is_invocable_v<F>, "multiprocessing: a preload is called without arguments");
  wire::require_sendable<F>();
  launch::set_server_target(std::make_shared<launch::ServerTarget<F>>(std::move(f)));
}

/// What is run for a process that is spawned; by default this program. That program has to call
/// init(), and to have been built with the same functions at the same places: so it is this one,
/// elsewhere. Threads: safe. Python: multiprocessing.set_executable
void set_executable(std::string path);

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/start_method.ipp>
#endif
