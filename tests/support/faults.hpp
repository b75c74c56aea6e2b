// SPDX-License-Identifier: BSL-1.0
// Ways for code to go wrong, and what is seen of a process then.
#pragma once

#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace support {

enum class Fault { Crash, Exit, Throw, Kill };
inline constexpr std::array kFaults{Fault::Crash, Fault::Exit, Fault::Throw, Fault::Kill};
inline constexpr int kFaultsExitCode = 7;

inline void happen(Fault fault) {
  switch (fault) {
    case Fault::Crash:
      __builtin_trap();
    case Fault::Exit:
      ::_exit(kFaultsExitCode);
    case Fault::Throw:
      throw std::runtime_error("thrown");
    case Fault::Kill:
      std::raise(SIGKILL);
  }
}

/// The exit code of the fault's victim. `thrown`: where the exception goes.
inline int exitcode_after(Fault fault, int thrown) {
  switch (fault) {
    case Fault::Crash:
      return -SIGILL;
    case Fault::Exit:
      return kFaultsExitCode;
    case Fault::Throw:
      return thrown;
    case Fault::Kill:
      break;
  }
  return -SIGKILL;
}

}  // namespace support
