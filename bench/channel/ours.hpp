// SPDX-License-Identifier: BSL-1.0
// This library's ways.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/pipe.hpp>
#include <multiprocessing/queue.hpp>

#include "peer.hpp"

namespace bench {

/// Bytes through an untyped pipe; several may use an end.
class BytesPeer {
 protected:
  using Ends = std::pair<multiprocessing::Connection<multiprocessing::Any>,
                         multiprocessing::Connection<multiprocessing::Any>>;
  auto end(Role role) const { return role.side() == 0 ? ends_.first : ends_.second; }

 public:
  static bool carries(Plan const&) { return true; }
  explicit BytesPeer(Plan const&) {}

  struct End : Buffered {
    void send(Message const& message) { connection.send_bytes(message); }
    void receive(Message& message) {
      require_whole(connection.recv_bytes_into(message), message.size());
    }
    multiprocessing::Connection<multiprocessing::Any> connection;
  };

  End open(Role role) const { return {{}, end(role)}; }

 private:
  Ends ends_ = multiprocessing::Pipe();
};

/// Memory is lent, filled and read in place: but for both ends of it nobody looks at the bytes.
class LoanPeer : BytesPeer {
 public:
  using BytesPeer::BytesPeer;
  using BytesPeer::carries;

  struct End : Buffered {
    void send(Message const& message) {
      auto loan = connection.loan(message.size());
      copy_ends(message, loan.bytes());
      connection.send(std::move(loan));
    }
    void receive(Message& message) {
      auto const view = connection.recv_view();
      require_whole(view.bytes().size(), message.size());
      copy_ends(view.bytes(), message);
    }
    static void copy_ends(std::span<std::byte const> from, std::span<std::byte> to) {
      constexpr std::size_t kEnd = 8;
      std::memcpy(to.data(), from.data(), kEnd);
      std::memcpy(to.data() + to.size() - kEnd, from.data() + from.size() - kEnd, kEnd);
    }
    multiprocessing::Connection<multiprocessing::Any> connection;
  };

  End open(Role role) const { return {{}, end(role)}; }
};

template <class Item>
struct Items {
  using Message = Item;
  static Item make_message(std::size_t size) {
    Item item{};
    if constexpr (std::is_same_v<Item, std::vector<std::byte>>) item.assign(size, std::byte{1});
    return item;
  }
  static constexpr bool has(std::size_t size) {
    if constexpr (std::is_same_v<Item, std::vector<std::byte>>) return true;
    return sizeof(Item) == size;
  }
};

template <class Item>
class PipePeer {
 public:
  static bool carries(Plan const& plan) { return Items<Item>::has(plan.size); }
  explicit PipePeer(Plan const&) {}

  struct End : Items<Item> {
    void send(Item const& item) { connection.send(item); }
    void receive(Item& item) { item = connection.recv(); }
    multiprocessing::Connection<Item> connection;
  };

  End open(Role role) const { return {{}, role.side() == 0 ? ends_.first : ends_.second}; }

 private:
  std::pair<multiprocessing::Connection<Item>, multiprocessing::Connection<Item>> ends_ =
      multiprocessing::Pipe<Item>();
};

template <class Item>
class QueuePeer {
 public:
  static bool carries(Plan const& plan) { return Items<Item>::has(plan.size); }
  explicit QueuePeer(Plan const& plan)
      : queues_{Queue(depth_for(plan.size)), Queue(depth_for(plan.size))} {}

  struct End : Items<Item> {
    void send(Item const& item) { out.put(item); }
    void receive(Item& item) { item = in.get(); }
    multiprocessing::Queue<Item> out;
    multiprocessing::Queue<Item> in;
  };

  End open(Role role) const { return {{}, queues_[role.side()], queues_[1 - role.side()]}; }

 private:
  using Queue = multiprocessing::Queue<Item>;
  std::array<Queue, 2> queues_;
};

}  // namespace bench
