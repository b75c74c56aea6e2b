// SPDX-License-Identifier: BSL-1.0
// The logger of a process: a level, and handlers behind it. Forked children inherit both by the
// copy of the memory, spawned ones by LogSettings.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <locale>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/launch/handler_list.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log_record.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// There is one a process. A record of a level that is not enabled costs the look at the level.
/// Without a handler nothing is written.
///
/// Threads: all members safe, also inside handlers. Processes: each has its own; what is set in one
/// after a fork changes nothing in the others. Fork: as LogHandler::handle(). Logging keeps errno,
/// and throws only what a handler throws that is no std::exception; a record for which there is no
/// memory is lost. Python: what multiprocessing.get_logger returns
class Logger {
 public:
  /// What get_logger() returns.
  static Logger& of_this_process() noexcept {
    static constinit Logger logger;
    return logger;
  }
  Logger(Logger const&) = delete;
  Logger& operator=(Logger const&) = delete;

  /// As it was set; notset before.
  LogLevel level() const noexcept { return static_cast<LogLevel>(level_number()); }
  /// Records below it are not logged. notset: those below warning.
  void set_level(LogLevel level) noexcept {
    level_.store(static_cast<int>(level), std::memory_order_relaxed);  // pairs with nothing
  }
  bool is_enabled_for(LogLevel level) const noexcept {
    int const least = level_number();
    constexpr auto kUnlessSet = static_cast<int>(LogLevel::warning);
    return static_cast<int>(level) >= (least == 0 ? kUnlessSet : least);
  }

  /// Hands the text to the handlers, where its level is enabled.
  void log(LogLevel level, std::string_view text) {
    if (is_enabled_for(level)) emit(level, text);
  }
  void debug(std::string_view text) { log(LogLevel::debug, text); }
  void info(std::string_view text) { log(LogLevel::info, text); }
  void warning(std::string_view text) { log(LogLevel::warning, text); }
  void error(std::string_view text) { log(LogLevel::error, text); }
  void critical(std::string_view text) { log(LogLevel::critical, text); }

  /// Hands a record to the handlers, whatever its level: one that another process has logged, say.
  void handle(LogRecord const& record) {
    int const errno_before = errno;
    base::ScopeGuard const restore([&] { errno = errno_before; });
    if (auto const* const handlers = launch::HandlerList::if_any()) handlers->handle(record);
  }

  /// Children that are forked afterwards have a copy. A second time it does nothing.
  /// Throws: std::invalid_argument when it is null, std::bad_alloc.
  void add_handler(std::shared_ptr<LogHandler> handler) {
    if (handler == nullptr) throw std::invalid_argument("Logger.add_handler: there is no handler");
    launch::HandlerList::instance().add(std::move(handler));
  }
  /// In this process. Other threads may be inside for a moment. Does nothing when it is not there.
  void remove_handler(std::shared_ptr<LogHandler> const& handler) {
    if (auto* const handlers = launch::HandlerList::if_any()) handlers->remove(handler);
  }

 private:
  constexpr Logger() = default;

  // relaxed: a level says nothing about other memory
  int level_number() const noexcept { return level_.load(std::memory_order_relaxed); }

  [[gnu::noinline, gnu::cold]] void emit(LogLevel level, std::string_view text) {
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

  std::atomic<int> level_{0};
};

namespace launch {

namespace log_detail {
template <class... Parts>
[[gnu::noinline, gnu::cold]] void put_together(Logger& logger, LogLevel level,
                                               Parts const&... parts) noexcept {
  try {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    (text << ... << parts);
    logger.log(level, text.str());
  } catch (...) {  // no memory, or a handler's
  }
}
}  // namespace log_detail

/// For the library: what the parts put together say. They are put together only when the level is
/// enabled. REQUIRES: the caller has locked nothing, because handlers may use the whole library.
template <class... Parts>
void log(LogLevel level, Parts const&... parts) noexcept {
  auto& logger = Logger::of_this_process();
  if (logger.is_enabled_for(level)) log_detail::put_together(logger, level, parts...);
}

/// What a process that is started by exec is to be told. Only with its turn do long lines of both
/// never mix.
struct LogSettings {
  int level = 0;
  bool to_stderr = false;
  std::optional<StderrHandler::Turn> turn = std::nullopt;

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    Plain const plain{level, to_stderr, turn.has_value()};
    encoder.write(&plain, sizeof plain);
    if (turn) wire::save_handle(encoder, *turn, "a turn to log");
  }
  template <class Decoder>
  static LogSettings decode_from(Decoder& decoder) {
    Plain plain;
    decoder.read(&plain, sizeof plain);
    LogSettings settings{.level = plain.level, .to_stderr = plain.to_stderr != 0};
    if (plain.has_turn != 0) settings.turn = wire::read_handle<LineTurn>(decoder);
    return settings;
  }

 private:
  struct Plain {
    std::int32_t level;
    std::int16_t to_stderr;
    std::int16_t has_turn;
  };
};

inline LogSettings current_log_settings() {
  LogSettings settings{.level = static_cast<int>(Logger::of_this_process().level())};
  auto const* const handlers = HandlerList::if_any();
  if (handlers == nullptr) return settings;
  settings.to_stderr = handlers->contains(handlers->stderr_handler());
  auto const* const turn =
      settings.to_stderr ? handlers->stderr_handler()->turn_of_stderr() : nullptr;
  if (turn != nullptr) settings.turn = *turn;
  return settings;
}

/// Twice is as once. Throws: std::bad_alloc, std::system_error.
inline void log_to_stderr() {
  auto& handlers = HandlerList::instance();
  static_cast<void>(handlers.stderr_handler()->turn_of_stderr());  // so that children have it, too
  handlers.add(handlers.stderr_handler());
}

/// To be called before the process logs. Throws: as log_to_stderr().
inline void apply_log_settings(LogSettings const& settings) {
  if (settings.to_stderr) {
    auto const& handler = HandlerList::instance().stderr_handler();
    if (settings.turn) handler->add(*settings.turn);
    log_to_stderr();
  } else if (auto* const handlers = HandlerList::if_any()) {
    handlers->remove(handlers->stderr_handler());
  }
  Logger::of_this_process().set_level(static_cast<LogLevel>(settings.level));
}

}  // namespace launch
}  // namespace multiprocessing
