// SPDX-License-Identifier: BSL-1.0
// How a process logs, for one that is started by exec.
#pragma once

#include <cstdint>
#include <optional>

#include <multiprocessing/launch/handler_list.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/stderr_handler.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing::launch {

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

}  // namespace multiprocessing::launch
