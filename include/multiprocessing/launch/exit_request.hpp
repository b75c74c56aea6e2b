// SPDX-License-Identifier: BSL-1.0
// How a process is left from anywhere in it.
#pragma once

namespace multiprocessing::launch {

/// Thrown by mp::exit() in a child: unwinds to the child's main. Not a std::exception, so that
/// `catch (std::exception&)` in user code lets it pass.
struct ExitRequest {
  int code;
};

}  // namespace multiprocessing::launch
