// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>
#include <zmq.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

#include "peer.hpp"

namespace bench {

/// ZeroMQ over ipc: a pair of sockets; between many, every producer pushes to all consumers in
/// turn.
class ZeroMqPeer {
  using Handle = std::unique_ptr<void, int (*)(void*)>;

 public:
  static bool carries(Plan const&) { return true; }
  explicit ZeroMqPeer(Plan const& plan) : plan_(plan) {}

  class End : public Buffered {
   public:
    End(Plan const& plan, std::string const& name, Role role)
        : context_(::zmq_ctx_new(), ::zmq_ctx_term), socket_(nullptr, ::zmq_close) {
      int const one_of_many = role.is_producer ? ZMQ_PUSH : ZMQ_PULL;
      socket_.reset(::zmq_socket(context_.get(), plan.is_one_to_one() ? ZMQ_PAIR : one_of_many));
      int const depth = static_cast<int>(depth_for(plan.size));
      for (int const option : {ZMQ_SNDHWM, ZMQ_RCVHWM}) {
        check(::zmq_setsockopt(socket_.get(), option, &depth, sizeof depth));
      }
      auto const address = [&](unsigned consumer) { return name + std::to_string(consumer); };
      if (!role.is_producer) {
        check(::zmq_bind(socket_.get(), address(role.index).c_str()));
      } else {
        for (unsigned i = 0; i < plan.consumers; ++i) {
          check(::zmq_connect(socket_.get(), address(i).c_str()));
        }
      }
    }
    void send(Message const& message) {
      check(::zmq_send(socket_.get(), message.data(), message.size(), 0));
    }
    void receive(Message& message) {
      int const size = ::zmq_recv(socket_.get(), message.data(), message.size(), 0);
      check(size);
      require_whole(static_cast<std::size_t>(size), message.size());
    }

   private:
    static void check(int result) {
      if (result == -1) throw std::runtime_error(::zmq_strerror(::zmq_errno()));
    }
    Handle context_;  // ends after the socket, when all is sent
    Handle socket_;
  };

  // A context must not be forked: each process makes its own.
  End open(Role role) const { return End(plan_, name_, role); }

 private:
  static std::string next_name() {
    static unsigned made = 0;
    return "ipc://@bench_channel." + std::to_string(::getpid()) + "." + std::to_string(++made) +
           ".";
  }

  Plan plan_;
  std::string name_ = next_name();
};

}  // namespace bench
