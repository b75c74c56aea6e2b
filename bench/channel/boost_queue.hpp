// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "peer.hpp"

namespace bench {

/// Boost.Interprocess's message_queue.
class BoostQueuePeer {
  using Queue = boost::interprocess::message_queue;

 public:
  static bool carries(Plan const&) { return true; }
  explicit BoostQueuePeer(Plan const& plan) {
    for (auto& queue : queues_) queue = make(plan.size);
  }

  struct End : Buffered {
    void send(Message const& message) { out->send(message.data(), message.size(), 0); }
    void receive(Message& message) {
      std::size_t size = 0;
      unsigned priority = 0;
      in->receive(message.data(), message.size(), size, priority);
      require_whole(size, message.size());
    }
    std::shared_ptr<Queue> out;
    std::shared_ptr<Queue> in;
  };

  End open(Role role) const { return {{}, queues_[role.side()], queues_[1 - role.side()]}; }

 private:
  static std::shared_ptr<Queue> make(std::size_t size) {
    static unsigned made = 0;
    auto const name = "bench_channel." + std::to_string(::getpid()) + "." + std::to_string(++made);
    auto queue = std::make_shared<Queue>(boost::interprocess::create_only, name.c_str(),
                                         depth_for(size), size);
    Queue::remove(name.c_str());  // children inherit the mapping
    return queue;
  }

  std::array<std::shared_ptr<Queue>, 2> queues_;
};

}  // namespace bench
