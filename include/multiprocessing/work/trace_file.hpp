// SPDX-License-Identifier: BSL-1.0
// A trace as a file that chrome://tracing and Perfetto show: a row for each worker.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/work/trace_log.hpp>

namespace multiprocessing::work {

/// The text as a string of JSON.
inline std::string json_string(std::string_view text) {
  std::string json = "\"";
  for (char const c : text) {
    constexpr unsigned char kFirstPrintable = 0x20;
    if (c == '"' || c == '\\') {
      (json += '\\') += c;
    } else if (static_cast<unsigned char>(c) < kFirstPrintable) {
      constexpr char kDigits[] = "0123456789abcdef";
      auto const code = static_cast<unsigned char>(c);
      ((json += "\\u00") += kDigits[code / 16]) += kDigits[code % 16];
    } else {
      json += c;
    }
  }
  return json += '"';
}

/// A time in ns as microseconds, which the format wants.
inline std::string microseconds(std::int64_t nanoseconds) {
  auto fraction = std::to_string(nanoseconds % 1000);
  return std::to_string(nanoseconds / 1000) + '.' + std::string(3 - fraction.size(), '0') +
         fraction;
}

/// Threads: one.
class TraceFile {
 public:
  using Kind = TraceEvent::Kind;
  /// The name of a function; empty when nobody knows.
  using Names = std::function<std::string(CodeNumber)>;

  /// Throws: std::ios_base::failure when the file can not be written.
  explicit TraceFile(std::string const& path) {
    file_.exceptions(std::ios::failbit | std::ios::badbit);
    file_.open(path, std::ios::trunc);
  }

  /// What began and did not end ended with its worker, or now. `begin`: the time that is 0 there.
  /// REQUIRES: nobody adds to the log any more. Throws: as the constructor.
  void write(TraceLog const& log, std::int64_t begin, Names const& name_of) {
    auto const now = os::monotonic_time();
    note_ends(log);
    file_ << "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"dropped events\":" << log.dropped()
          << "},\"traceEvents\":[\n"
          << R"({"name":"process_name","ph":"M","pid":1,"args":{"name":"pool"}})";
    std::vector<bool> has_row;
    for (std::uint64_t i = 0; i < log.size(); ++i) {
      auto const& event = log.events()[i];
      auto const kind = event.kind.load(std::memory_order_acquire);
      if (kind == Kind::None) continue;
      if (event.worker >= has_row.size()) has_row.resize(event.worker + std::size_t{1});
      if (!has_row[event.worker]) write_row(event.worker);
      has_row[event.worker] = true;
      file_ << ",\n{\"name\":" << json_string(title_of(event, kind, name_of))
            << ",\"pid\":1,\"tid\":" << event.worker
            << ",\"ts\":" << microseconds(std::max<std::int64_t>(event.begin - begin, 0));
      if (kind == Kind::Start || kind == Kind::End) {
        file_ << R"(,"cat":"worker","ph":"i","s":"t")";
      } else {
        auto const end = end_of(event, now);
        file_ << ",\"cat\":" << (kind == Kind::Task ? "\"task\"" : "\"chunk\"")
              << ",\"ph\":\"X\",\"dur\":"
              << microseconds(std::max<std::int64_t>(end - event.begin, 0));
      }
      file_ << ",\"args\":{\"pid\":" << event.pid;
      if (kind == Kind::Task) file_ << ",\"run\":" << event.run + 1;
      if (kind == Kind::Chunk) file_ << ",\"chunk\":" << event.number;
      file_ << "}}";
    }
    file_ << "\n]}\n";
    file_.close();
  }

 private:
  void write_row(WorkerNumber worker) {
    file_ << ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":" << worker
          << ",\"args\":{\"name\":\"worker " << worker << "\"}}";
  }

  void note_ends(TraceLog const& log) {
    for (std::uint64_t i = 0; i < log.size(); ++i) {
      auto const& event = log.events()[i];
      if (event.kind.load(std::memory_order_acquire) != Kind::End) continue;
      ends_.emplace(event.pid, event.begin);
    }
  }
  std::int64_t end_of(TraceEvent const& event, std::int64_t now) const {
    if (auto const end = event.end.load(); end != 0) return end;
    auto const [first, last] = ends_.equal_range(event.pid);  // a pid may be used again
    auto best = now;
    for (auto it = first; it != last; ++it) {
      if (it->second >= event.begin) best = std::min(best, it->second);
    }
    return best;
  }

  static std::string title_of(TraceEvent const& event, Kind kind, Names const& name_of) {
    switch (kind) {
      case Kind::Start:
        return "process " + std::to_string(event.pid) + " starts";
      case Kind::End: {
        auto const code = static_cast<std::int32_t>(event.code);
        auto const state = code == 0 ? os::ChildEnd::State::Stolen : os::ChildEnd::State::Ended;
        auto const status = static_cast<std::int32_t>(event.number);
        return "process " + std::to_string(event.pid) + " " +
               ExitStatus::from({state, code, status}).to_string();
      }
      case Kind::Chunk:
        return "map";
      default: {
        auto const function = event.function.load();
        auto const name = name_of(function != TraceEvent::kUnknown ? function : event.code);
        return name.empty() ? "task" : name;
      }
    }
  }

  std::ofstream file_;
  std::unordered_multimap<std::int32_t, std::int64_t> ends_;  // of workers, by pid
};

}  // namespace multiprocessing::work
