// SPDX-License-Identifier: BSL-1.0
// The bodies of log.hpp.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/handler_list.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/log_record.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/os/process.hpp>

namespace multiprocessing {

MULTIPROCESSING_INLINE Logger& Logger::of_this_process() noexcept {
  static constinit Logger logger;
  return logger;
}

MULTIPROCESSING_INLINE void Logger::set_level(LogLevel level) noexcept {
  level_.store(static_cast<int>(level), std::memory_order_relaxed);  // pairs with nothing
}

MULTIPROCESSING_INLINE void Logger::log(LogLevel level, std::string_view text) {
  if (is_enabled_for(level)) emit(level, text);
}

MULTIPROCESSING_INLINE void Logger::handle(LogRecord const& record) {
  int const errno_before = errno;
  base::ScopeGuard const restore([&] { errno = errno_before; });
  if (auto const* const handlers = launch::HandlerList::if_any()) handlers->handle(record);
}

MULTIPROCESSING_INLINE void Logger::add_handler(std::shared_ptr<LogHandler> handler) {
  if (handler == nullptr) throw std::invalid_argument("Logger.add_handler: there is no handler");
  launch::HandlerList::instance().add(std::move(handler));
}

MULTIPROCESSING_INLINE void Logger::remove_handler(std::shared_ptr<LogHandler> const& handler) {
  if (auto* const handlers = launch::HandlerList::if_any()) handlers->remove(handler);
}

MULTIPROCESSING_INLINE void Logger::emit(LogLevel level, std::string_view text) {
  auto const* const handlers = launch::HandlerList::if_any();
  if (handlers == nullptr) return;
  int const errno_before = errno;
  base::ScopeGuard const restore([&] { errno = errno_before; });
  try {
    if (handlers->empty()) return;
    handlers->handle({level, launch::identity().name, os::this_pid(),
                      std::chrono::system_clock::now(), std::string(text)});
  } catch (std::exception const&) {
  }
}

namespace launch {

MULTIPROCESSING_INLINE void log_to_stderr() {
  auto& handlers = HandlerList::instance();
  static_cast<void>(handlers.stderr_handler()->turn_of_stderr());  // so that children have it, too
  handlers.add(handlers.stderr_handler());
}

}  // namespace launch

}  // namespace multiprocessing
