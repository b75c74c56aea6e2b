// SPDX-License-Identifier: BSL-1.0
// The bodies of trace_file.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/clock.hpp>
#include <multiprocessing/os/output_file.hpp>
#include <multiprocessing/work/trace_file.hpp>
#include <multiprocessing/work/trace_log.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

MULTIPROCESSING_INLINE std::string json_string(std::string_view text) {
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

MULTIPROCESSING_INLINE std::string microseconds(std::int64_t nanoseconds) {
  auto fraction = std::to_string(nanoseconds % 1000);
  return std::to_string(nanoseconds / 1000) + '.' + std::string(3 - fraction.size(), '0') +
         fraction;
}

MULTIPROCESSING_INLINE void TraceFile::write(TraceLog const& log, std::int64_t begin,
                                             Names const& name_of) {
  now_ = os::monotonic_time();
  begin_ = begin;
  note_ends(log);
  text_ = "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"dropped events\":" +
          std::to_string(log.dropped()) + "},\"traceEvents\":[\n" +
          R"({"name":"process_name","ph":"M","pid":1,"args":{"name":"pool"}})";
  std::vector<bool> has_row;
  for (std::uint64_t i = 0; i < log.size(); ++i) {
    auto const& event = log.events()[i];
    auto const kind = event.kind.load(std::memory_order_acquire);
    if (kind == Kind::None) continue;
    if (event.worker >= has_row.size()) has_row.resize(event.worker + std::size_t{1});
    if (!has_row[event.worker]) add_row(event.worker);
    has_row[event.worker] = true;
    add_event(event, kind, name_of);
    if (text_.size() >= kAtATime) flush();
  }
  text_ += "\n]}\n";
  flush();
}

MULTIPROCESSING_INLINE void TraceFile::add_row(WorkerNumber worker) {
  auto const number = std::to_string(worker);
  text_ += ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":" + number +
           ",\"args\":{\"name\":\"worker " + number + "\"}}";
}

MULTIPROCESSING_INLINE void TraceFile::add_event(TraceEvent const& event, Kind kind,
                                                 Names const& name_of) {
  text_ += ",\n{\"name\":" + json_string(title_of(event, kind, name_of)) +
           ",\"pid\":1,\"tid\":" + std::to_string(event.worker) +
           ",\"ts\":" + microseconds(std::max<std::int64_t>(event.begin - begin_, 0));
  if (kind == Kind::Start || kind == Kind::End) {
    text_ += R"(,"cat":"worker","ph":"i","s":"t")";
  } else {
    text_ += kind == Kind::Task ? R"(,"cat":"task")" : R"(,"cat":"chunk")";
    text_ += R"(,"ph":"X","dur":)" +
             microseconds(std::max<std::int64_t>(end_of(event) - event.begin, 0));
  }
  text_ += ",\"args\":{\"pid\":" + std::to_string(event.pid);
  if (kind == Kind::Task) text_ += ",\"run\":" + std::to_string(event.run + 1);
  if (kind == Kind::Chunk) text_ += ",\"chunk\":" + std::to_string(event.number);
  text_ += "}}";
}

MULTIPROCESSING_INLINE void TraceFile::flush() {
  file_.write(text_);
  text_.clear();
}

MULTIPROCESSING_INLINE void TraceFile::note_ends(TraceLog const& log) {
  for (std::uint64_t i = 0; i < log.size(); ++i) {
    auto const& event = log.events()[i];
    if (event.kind.load(std::memory_order_acquire) != Kind::End) continue;
    ends_.emplace(event.pid, event.begin);
  }
}

MULTIPROCESSING_INLINE std::int64_t TraceFile::end_of(TraceEvent const& event) const {
  if (auto const end = event.end.load(); end != 0) return end;
  auto const [first, last] = ends_.equal_range(event.pid);  // a pid may be used again
  auto best = now_;
  for (auto it = first; it != last; ++it) {
    if (it->second >= event.begin) best = std::min(best, it->second);
  }
  return best;
}

MULTIPROCESSING_INLINE std::string TraceFile::title_of(TraceEvent const& event, Kind kind,
                                                       Names const& name_of) {
  switch (kind) {
    case Kind::Start:
      return "process " + std::to_string(event.pid) + " starts";
    case Kind::End: {
      WorkerDeath const death{event.pid, static_cast<std::int32_t>(event.code),
                              static_cast<std::int32_t>(event.number)};
      return "process " + std::to_string(event.pid) + " " + death.status().to_string();
    }
    case Kind::Chunk:
      return "map";
    default: {
      auto const function = event.function.load();
      auto const code = function != TraceEvent::kUnknown ? function : event.code;
      auto const [name, is_new] = names_.try_emplace(code);
      if (is_new) name->second = name_of(code);
      return name->second.empty() ? "task" : name->second;
    }
  }
}

}  // namespace multiprocessing::work
