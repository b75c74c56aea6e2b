// SPDX-License-Identifier: BSL-1.0
// The bodies of stderr_handler.hpp.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <system_error>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/mutex.hpp>

namespace multiprocessing::launch {

MULTIPROCESSING_INLINE StderrHandler::~StderrHandler() {
  for (Node const* node = turns_.load(); node != nullptr;) {
    std::unique_ptr<Node const> const done(node);
    node = node->older;
  }
}

MULTIPROCESSING_INLINE void StderrHandler::handle(LogRecord const& record) {
  if (record.pid != os::this_pid()) return;
  auto line = format_record(record) + "\n";
  auto const* const turn = turn_of_stderr();
  if (turn == nullptr || !write_in_turn(**turn, line)) os::write_to_stderr(line);
}

MULTIPROCESSING_INLINE StderrHandler::Turn const* StderrHandler::turn_of_stderr() {
  auto const file = os::stderr_identity();
  if (!file) return nullptr;
  if (auto const* const turn = find(turns_.load(), *file)) return turn;
  try {
    return add(Turn::make(0, *file));
  } catch (std::exception const&) {
    return nullptr;
  }
}

MULTIPROCESSING_INLINE StderrHandler::Turn const* StderrHandler::add(Turn const& turn) {
  auto fresh = std::make_unique<Node>(Node{turn, turns_.load()});
  do {
    if (auto const* const older = find(fresh->older, turn->file)) return older;
  } while (!turns_.compare_exchange_weak(fresh->older, fresh.get()));
  return &fresh.release()->turn;
}

MULTIPROCESSING_INLINE StderrHandler::Turn const* StderrHandler::find(
    Node const* node, os::FileIdentity file) noexcept {
  while (node != nullptr && node->turn->file != file) node = node->older;
  return node == nullptr ? nullptr : &node->turn;
}

MULTIPROCESSING_INLINE bool StderrHandler::write_in_turn(LineTurn& turn, std::string& line) {
  try {
    turn.mutex.acquire(base::Deadline::never());
  } catch (std::system_error const&) {  // it has it, or too many locks
    return false;
  }
  base::ScopeGuard const release([&] { turn.mutex.release(); });
  if (turn.is_torn) line.insert(0, 1, '\n');
  // Who is killed from here on may leave half a line; of a short one, all or nothing. (Of a short
  // one in a file: nearly always.)
  turn.is_torn = line.size() > os::kAtomicWrite;
  turn.is_torn = !os::write_to_stderr(line);
  return true;
}

}  // namespace multiprocessing::launch
