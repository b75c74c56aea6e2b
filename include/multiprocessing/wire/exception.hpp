// SPDX-License-Identifier: BSL-1.0
// Exceptions as values: caught in one process, thrown again in another, with their causes. The only
// user code on the way is what() and, of a registered type, its serialize; if that fails, the text
// is still told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/wire/encoder.hpp>

namespace multiprocessing::wire {

/// One exception, without its cause.
struct ExceptionState {
  std::string type_name;
  std::string what;
  std::string category;            ///< of a std::system_error
  std::int32_t code = 0;           ///< of a std::system_error; the exit code of a ProcessDied
  std::int32_t pid = 0;            ///< of a ProcessDied, or of a RemoteTraceback
  std::vector<std::string> texts;  ///< paths of a filesystem_error; name and task of a
                                   ///< RemoteTraceback; the size of a BufferTooShort
  Bytes own;                       ///< of a registered type: what its serialize wrote
};

/// An exception, its cause, the cause of that ...
struct ExceptionRecord {
  std::vector<ExceptionState> chain;
};

/// REQUIRES: called while an exception is handled. Throws: std::bad_alloc.
ExceptionRecord record_current_exception();

/// Adds where it was thrown, as the last cause.
void add_origin(ExceptionRecord& record, RemoteTraceback const& origin);

/// Says what was being done at the record's origin, which only who asked for it knows.
void add_task(ExceptionRecord& record, std::string task);

/// Says on which machine the record's origin was.
void add_place(ExceptionRecord& record, std::string const& place);

/// Type, text and causes, one a line.
std::string format(ExceptionRecord const& record);

/// Throws the exception of its own type where that is known here, RemoteError otherwise; each cause
/// is nested in what it caused (std::rethrow_if_nested).
[[noreturn]] void throw_recorded(ExceptionRecord const& record);

}  // namespace multiprocessing::wire

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/wire/exception.ipp>
#endif
