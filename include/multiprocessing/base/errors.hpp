// SPDX-License-Identifier: BSL-1.0
// The exception types that every layer may throw. Users include <multiprocessing/errors.hpp>.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace multiprocessing {

/// Base of all errors of this library that have no counterpart in the standard library.
/// Python: multiprocessing.ProcessError.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A process ended before it had done what it was asked for.
class ProcessDied : public Error {
 public:
  ProcessDied(std::string const& what, int pid, int exitcode)
      : Error(what), pid_(pid), exitcode_(exitcode) {}

  int pid() const noexcept { return pid_; }
  /// As `Process::exitcode()`: the code it exited with, or `-signum` when a signal killed it.
  int exitcode() const noexcept { return exitcode_; }
  /// The signal that killed it; 0 when it exited by itself.
  int signal() const noexcept { return exitcode_ < 0 ? -exitcode_ : 0; }

 private:
  int pid_;
  int exitcode_;
};

/// A pool's worker died while it ran a task. The pool has replaced it and goes on.
class WorkerDied : public ProcessDied {
 public:
  using ProcessDied::ProcessDied;
};

/// The barrier was broken while, or before, the caller waited: by a timeout, abort(), reset(), an
/// exception of the action, or the death of one who waited.
/// Python: threading.BrokenBarrierError.
class BrokenBarrierError : public Error {
 public:
  using Error::Error;
};

/// The pool can not run anything any more; the text says why.
/// Python: concurrent.futures.process.BrokenProcessPool.
class BrokenProcessPool : public Error {
 public:
  using Error::Error;
};

/// The work was given up before it was done, because someone asked for that.
/// Python: concurrent.futures.CancelledError.
class CancelledError : public Error {
 public:
  using Error::Error;
};

/// An exception of another process whose type can not be rebuilt in this one.
class RemoteError : public Error {
 public:
  RemoteError(std::string type_name, std::string const& what)
      : Error(type_name + ": " + what), type_name_(std::move(type_name)) {}

  /// The type's name, demangled, as the other process knew it.
  std::string const& type_name() const noexcept { return type_name_; }

 private:
  std::string type_name_;
};

}  // namespace multiprocessing
