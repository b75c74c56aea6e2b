// SPDX-License-Identifier: BSL-1.0
// The exception types that every layer may throw. Users include <multiprocessing/errors.hpp>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/compiler.hpp>

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
  /// Made by this library, as all errors are.
  ProcessDied(std::string const& what, int pid, int exitcode)
      : Error(what), pid_(pid), exitcode_(exitcode) {}

  /// Of the process that ended.
  int pid() const noexcept { return pid_; }
  /// As `Process::exitcode()`: the code it exited with, or `-signum` when a signal killed it.
  int exitcode() const noexcept { return exitcode_; }
  /// The signal that killed it; 0 when it exited by itself.
  int signal() const noexcept { return exitcode_ < 0 ? -exitcode_ : 0; }

 private:
  int pid_;
  int exitcode_;
};

/// A pool's worker died while it ran a task. The pool replaces it and goes on, unless its options
/// say otherwise. The text tells all that is known. What the members below tell is lost where the
/// exception goes on into another process; the text is not.
class WorkerDied : public ProcessDied {
 public:
  /// What is known of a death beyond its exit code.
  struct Details {
    /// As the members of WorkerDied of these names.
    std::optional<std::uintptr_t> fault_address;
    std::vector<std::string> backtrace;
    std::optional<std::uint64_t> peak_memory;
  };

  using ProcessDied::ProcessDied;
  /// With what is known of its death.
  WorkerDied(std::string const& what, int pid, int exitcode, Details details)
      : ProcessDied(what, pid, exitcode),
        details_(std::make_shared<Details const>(std::move(details))) {}

  /// Of a SIGSEGV or SIGBUS: the address that could not be used, where the kernel knows it; of a
  /// SIGILL or SIGFPE: the instruction's.
  std::optional<std::uintptr_t> fault_address() const noexcept {
    return details_ == nullptr ? std::nullopt : details_->fault_address;
  }
  /// Of a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT): the functions that had been called, the
  /// innermost first, "app::parse(char const*) (libapp.so+0x12ab)": the name is there where the
  /// module exports it, the offset is what addr2line wants. Empty when nothing is known.
  std::vector<std::string> const& backtrace() const noexcept {
    static std::vector<std::string> const none;
    return details_ == nullptr ? none : details_->backtrace;
  }
  /// Bytes that were resident at a time, as in ExitStatus::usage().
  std::optional<std::uint64_t> peak_memory() const noexcept {
    return details_ == nullptr ? std::nullopt : details_->peak_memory;
  }

 private:
  std::shared_ptr<Details const> details_;  // so that a copy throws nothing; null: not known
};

/// The process had been given a time, and was killed when that had passed.
class TaskTimeout : public ProcessDied {
 public:
  using ProcessDied::ProcessDied;
};

/// The process had been given as much memory as it may have, and wanted more.
class MemoryLimitExceeded : public ProcessDied {
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

/// Somebody was killed in the middle of a change of a SharedVector, SharedMap or SharedString, and
/// nobody has called its recover() yet. The text tells which process it was, where that is known.
class BrokenContainerError : public Error {
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

/// A value can not be written as bytes, for a reason that its type does not tell.
/// Python: pickle.PicklingError.
class PicklingError : public Error {
 public:
  using Error::Error;
};

/// Bytes are damaged: no value of the type was ever written so.
/// Python: pickle.UnpicklingError.
class UnpicklingError : public Error {
 public:
  using Error::Error;
};

/// A value of one type was sent, and one of another type asked for.
/// Python: TypeError.
class TypeError : public Error {
 public:
  using Error::Error;
};

/// What was waited for did not happen in time. A call by the standard library's spelling
/// (`*_for`, `*_until`) returns instead.
/// Python: multiprocessing.TimeoutError, TimeoutError.
class TimeoutError : public Error {
 public:
  using Error::Error;
};

/// The queue holds no item, and still held none when the timeout passed.
/// Python: queue.Empty.
class Empty : public Error {
 public:
  using Error::Error;
};

/// The queue has no room for an item, and still had none when the timeout passed.
/// Python: queue.Full.
class Full : public Error {
 public:
  using Error::Error;
};

/// The queue has been shut down, or whoever could go on with it is gone: nothing can be put, or
/// nothing is left to get.
/// Python: queue.ShutDown.
class ShutDown : public Error {
 public:
  using Error::Error;
};

/// Nothing is left to receive, and nobody can send any more: the last holder of the other end has
/// closed it or ended.
/// Python: EOFError; differs: also where a message breaks off, there an OSError.
class EOFError : public Error {
 public:
  using Error::Error;
};

/// What is sent would never be received: the last holder of the other end has closed it or ended.
/// Python: BrokenPipeError; differs: no OSError.
class BrokenPipeError : public Error {
 public:
  using Error::Error;
};

/// A message is longer than the room for it. It has not been received: the next call that has room
/// gets it.
/// Python: multiprocessing.BufferTooShort; differs: there the exception holds the message, which is
/// lost with it.
class BufferTooShort : public Error {
 public:
  /// `size`: bytes that the message needs.
  BufferTooShort(std::string const& what, std::size_t size) : Error(what), size_(size) {}

  /// Bytes that the message needs.
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_;
};

/// The other side of a connection does not know the key, or did not prove in time that it does.
/// Python: multiprocessing.AuthenticationError.
class AuthenticationError : public Error {
 public:
  using Error::Error;
};

/// An exception of another process whose type can not be rebuilt in this one.
class RemoteError : public Error {
 public:
  /// `what`: without the type, which is put before it.
  RemoteError(std::string type_name, std::string const& what)
      : Error(type_name + ": " + what), type_name_(std::move(type_name)) {}

  /// The type's name, demangled, as the other process knew it.
  std::string const& type_name() const noexcept { return type_name_; }

 private:
  std::string type_name_;
};

/// Where an exception that came from another process was thrown there: the last of its nested
/// causes (std::rethrow_if_nested).
/// Python: multiprocessing.pool.RemoteTraceback.
class RemoteTraceback : public Error {
 public:
  /// `task`: what the process was doing; may be empty.
  RemoteTraceback(std::string process_name, int pid, std::string task)
      : Error("in process '" + process_name + "' (pid " + std::to_string(pid) + ")" +
              (task.empty() ? "" : ", " + task)),
        process_name_(std::move(process_name)),
        pid_(pid),
        task_(std::move(task)) {}

  /// Of the process that threw it.
  std::string const& process_name() const noexcept { return process_name_; }
  int pid() const noexcept { return pid_; }
  /// What the process was doing, "Pool.map, items 3 to 5 of 10"; may be empty.
  std::string const& task() const noexcept { return task_; }

 private:
  std::string process_name_;
  int pid_;
  std::string task_;
};

}  // namespace multiprocessing
