// SPDX-License-Identifier: BSL-1.0
// What the user called, for the texts of exceptions.
#pragma once

#include <string>

namespace multiprocessing::channel {

/// "Queue.put". Both live for ever.
struct Call {
  char const* object;
  char const* verb;

  std::string text() const { return std::string(object) + "." + verb; }
};

}  // namespace multiprocessing::channel
