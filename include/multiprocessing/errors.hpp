// SPDX-License-Identifier: BSL-1.0
// Every exception type of this library.
//
//   Error (a std::runtime_error)
//   |-- ProcessDied            pid(), exitcode(), signal()
//   |   `-- WorkerDied         a pool's worker; the pool goes on
//   |-- BrokenBarrierError     who waits at a barrier would wait for ever
//   |-- BrokenProcessPool      the pool is gone for good
//   |-- CancelledError         the work was given up on request
//   `-- RemoteError            an exception whose type is unknown here; type_name()
//
// Python's ValueError is std::invalid_argument here, its AssertionError (a call at the wrong time)
// std::logic_error, its OSError std::system_error.
#pragma once

#include <multiprocessing/base/errors.hpp>  // IWYU pragma: export
