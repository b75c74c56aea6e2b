// SPDX-License-Identifier: BSL-1.0
// A manager's server in a bare child, and what calls of tests are named.
#pragma once

#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/queue_end.hpp>
#include <multiprocessing/serve/server.hpp>

#include "helpers.hpp"

namespace support {

inline constexpr multiprocessing::channel::Call kCall{"Test", "call"};

struct RunningServer {
  RunningServer() { up.hear(); }

  void shut_down() const { multiprocessing::channel::QueueEnd(address.reception).shut_down_now(); }

  multiprocessing::serve::ServerAddress address = multiprocessing::serve::ServerAddress::make();
  Pipe up;
  RawChild child{[this] { multiprocessing::serve::Server(address).run([this] { up.tell(); }); }};
};

}  // namespace support
