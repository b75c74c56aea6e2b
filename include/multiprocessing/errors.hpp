// SPDX-License-Identifier: BSL-1.0
// Every exception type of this library, and what makes exceptions cross processes.
//
//   Error (a std::runtime_error)
//   |-- ProcessDied            pid(), exitcode(), signal()
//   |   |-- WorkerDied         a pool's worker; fault_address(), backtrace(), peak_memory()
//   |   |-- TaskTimeout        its time had passed, so it was killed
//   |   `-- MemoryLimitExceeded  it wanted more memory than it may have
//   |-- BrokenBarrierError     who waits at a barrier would wait for ever
//   |-- BrokenContainerError   who changed a shared container was killed in it; recover()
//   |-- BrokenProcessPool      the pool is gone for good
//   |-- CancelledError         the work was given up on request
//   |-- PicklingError          a value can not be written as bytes
//   |-- UnpicklingError        bytes are no value
//   |-- TypeError              they are a value of another type
//   |-- TimeoutError           it did not happen in time
//   |-- Empty, Full            a queue without an item, or room for one
//   |-- ShutDown               a queue that is used no more
//   |-- EOFError               nothing is left to receive, and nobody can send
//   |-- BrokenPipeError        nobody will receive what is sent
//   |-- BufferTooShort         size(): what the message needs, which stays where it is
//   |-- AuthenticationError    the other side of a connection does not know the key
//   |-- RemoteError            an exception whose type is unknown here; type_name()
//   `-- RemoteTraceback        where an exception came from: its last nested cause
//
// Python's ValueError is std::invalid_argument here, its AssertionError (a call at the wrong time)
// std::logic_error, its OSError std::system_error.
#pragma once

#include <exception>
#include <string>
#include <type_traits>

#include <multiprocessing/base/errors.hpp>  // IWYU pragma: export
#include <multiprocessing/wire/exception_registry.hpp>
#include <multiprocessing/wire/picklable.hpp>

namespace multiprocessing {

/// From now on an exception of type E that is thrown in a task, or in whatever else is done for
/// another process, arrives there as an E. Those of the standard library and of this one do so
/// without (but a std::system_error of a category of the user's), all others as RemoteError. E
/// crosses with its whole state where it is Picklable; otherwise it is rebuilt as E(what()).
///
/// To be called in both processes; before a fork, once is enough:
///   static bool const known = multiprocessing::register_exception<app::ParseError>();
/// Threads: safe. Returns true.
/// Python: differs; there pickle finds the class by its name.
template <class E>
bool register_exception() {
  constexpr bool can_be_rebuilt =
      wire::Picklable<E> || std::is_constructible_v<E, std::string const&>;
  static_assert(can_be_rebuilt,
                "multiprocessing: this exception can not be rebuilt in another process; give it a "
                "constructor that takes what() as a std::string, or a default constructor and a "
                "serialize function");
  if constexpr (can_be_rebuilt) wire::register_exception<E>();
  return true;
}

/// Type, text and causes of an exception, one a line, where it came from last:
///   std::runtime_error: no such row
///   caused by std::out_of_range: 7
///   in process 'PoolWorker-1' (pid 812), Pool.map, item 3 of 10
/// Python: traceback.format_exception
std::string format_exception(std::exception_ptr const& exception);

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/errors.ipp>
#endif
