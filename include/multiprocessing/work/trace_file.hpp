// SPDX-License-Identifier: BSL-1.0
// A trace as a file that chrome://tracing and Perfetto show: a row for each worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <multiprocessing/os/output_file.hpp>
#include <multiprocessing/work/trace_log.hpp>

namespace multiprocessing::work {

/// The text as a string of JSON.
std::string json_string(std::string_view text);

/// A time in ns as microseconds, which the format wants.
std::string microseconds(std::int64_t nanoseconds);

/// Threads: one.
class TraceFile {
 public:
  using Kind = TraceEvent::Kind;
  /// The name of a function; empty when nobody knows.
  using Names = std::function<std::string(CodeNumber)>;

  /// Throws: std::system_error when the file can not be written.
  explicit TraceFile(std::string path) : file_(std::move(path)) {}

  /// What began and did not end ended with its worker, or now. `begin`: the time that is 0 there.
  /// REQUIRES: nobody adds to the log any more. Throws: as the constructor; std::bad_alloc.
  void write(TraceLog const& log, std::int64_t begin, Names const& name_of);

 private:
  static constexpr std::size_t kAtATime = std::size_t{64} << 10;

  void add_row(WorkerNumber worker);

  void add_event(TraceEvent const& event, Kind kind, Names const& name_of);

  void flush();

  void note_ends(TraceLog const& log);
  std::int64_t end_of(TraceEvent const& event) const;

  std::string title_of(TraceEvent const& event, Kind kind, Names const& name_of);

  os::OutputFile file_;
  std::string text_;  // not written yet
  std::int64_t begin_ = 0;
  std::int64_t now_ = 0;
  std::unordered_multimap<std::int32_t, std::int64_t> ends_;  // of workers, by pid
  std::unordered_map<CodeNumber, std::string> names_;
};

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/trace_file.ipp>
#endif
