// SPDX-License-Identifier: BSL-1.0
// What all ways to pass messages look like to the cases.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "plan.hpp"

namespace bench {

/// Which process this is. Messages of a producer go to consumers, and those of a consumer, if it
/// answers, to producers.
struct Role {
  bool is_producer;
  unsigned index;  ///< among those

  unsigned side() const noexcept { return is_producer ? 0 : 1; }
};

inline Role role_of(Plan const& plan, unsigned member) {
  bool const is_producer = member < plan.producers;
  return {is_producer, is_producer ? member : member - plan.producers};
}

/// One process's access; send() and receive() block. All messages have the size of the plan.
template <class E>
concept Endpoint = requires(E endpoint, typename E::Message message, std::size_t size) {
  { E::make_message(size) } -> std::same_as<typename E::Message>;
  std::as_writable_bytes(std::span(message));
  endpoint.send(message);
  endpoint.receive(message);
};

/// Made before the processes are, of which each has a copy.
template <class P>
concept Peer = std::copy_constructible<P> && std::constructible_from<P, Plan const&> &&
    requires(P const& peer, Plan const& plan, Role role) {
  { P::carries(plan) } -> std::same_as<bool>;
  { peer.open(role) } -> Endpoint;
};

/// For endpoints that send bytes from where they are, and receive them where they are told.
struct Buffered {
  using Message = std::vector<std::byte>;
  static Message make_message(std::size_t size) { return Message(size, std::byte{1}); }
};

/// This machine, or its settings, do not let the peer carry the plan.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How many messages wait at most, where one has to say.
constexpr std::size_t depth_for(std::size_t size) {
  return std::clamp<std::size_t>(16 * kMiB / size, 2, 1024);
}

inline void require_whole(std::size_t received, std::size_t size) {
  if (received != size) throw std::runtime_error("a message has another size than was sent");
}

}  // namespace bench
