// SPDX-License-Identifier: BSL-1.0
// The connections of a server, or of a session, which are no forked child's: a copy of a descriptor
// would keep the other side from seeing the end of file.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/channel/socket_stream.hpp>
#include <multiprocessing/os/fork_gate.hpp>

namespace multiprocessing::serve {

/// Threads: safe. Fork: children that this library forks close them; others have copies.
class NetworkStreams : public channel::Heirloom {
 public:
  static std::shared_ptr<NetworkStreams> make() {
    auto streams = std::make_shared<NetworkStreams>();
    channel::register_heirloom(streams);
    return streams;
  }

  void add(std::shared_ptr<channel::SocketStream> const& stream) {
    os::ForkGateGuard const gate;
    std::erase_if(streams_, [](auto const& each) { return each.expired(); });
    streams_.push_back(stream);
  }

  /// In a child.
  void give_up() noexcept override {
    for (auto const& each : streams_) {
      if (auto const stream = each.lock()) stream->close();
    }
  }

 private:
  std::vector<std::weak_ptr<channel::SocketStream>> streams_;  // guarded by the gate
};

}  // namespace multiprocessing::serve
