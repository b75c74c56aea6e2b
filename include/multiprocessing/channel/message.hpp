// SPDX-License-Identifier: BSL-1.0
// Values as messages of a lane: encoded before anything of the lane is taken, and decoded after it
// has been given back, so that no code of the user's ever runs inside.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/type_name.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/wait.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/seats.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/wire/type_hash.hpp>

namespace multiprocessing::channel {

/// Memory of this thread for a message on its way; kept, so that messages cost no allocation. Taken
/// out as long as it is used: encoding may run code that sends, too.
class Scratch {
 public:
  Scratch() {
    if (auto* const kept = spare()) bytes_.swap(*kept);
    bytes_.clear();
  }
  Scratch(Scratch const&) = delete;
  Scratch& operator=(Scratch const&) = delete;
  ~Scratch() {
    if (bytes_.capacity() > kMostKept) return;
    if (auto* const kept = spare()) kept->swap(bytes_);
  }
  wire::Bytes& bytes() noexcept { return bytes_; }

 private:
  // A message of a few MiB and its head: memory that is made anew costs more than what is done with
  // it.
  static constexpr std::size_t kMostKept = std::size_t{4} << 20;

  struct Spare {
    wire::Bytes bytes;
    ~Spare() { is_gone() = true; }
  };
  static bool& is_gone() noexcept {
    static thread_local constinit bool gone = false;
    return gone;
  }
  /// Null for destructors of static objects, which send after those of the thread's have run.
  static wire::Bytes* spare() noexcept {
    if (is_gone()) return nullptr;
    static thread_local Spare spare;
    return &spare.bytes;
  }

  wire::Bytes bytes_;
};

/// A plain value that is encoded straight into its frame: small enough to do so inside the lane.
template <class T>
concept Flat = wire::PlainMessage<T> && sizeof(T) <= Lane::kLargestInline / 2;

using TypeTag = std::uint64_t;

/// A message ready to be put.
class Outgoing {
 public:
  /// Bytes that stay where they are until the message is put.
  Outgoing(Content content, std::span<std::byte const> bytes) noexcept
      : content_(content), bytes_(bytes) {}
  /// Bytes in a block.
  Outgoing(Content content, Enclosed block, std::uint64_t size) noexcept
      : content_(content), block_(std::move(block)), size_(size) {}
  /// Bytes, and the blocks that go with them. Throws: std::bad_alloc.
  Outgoing(Content content, std::span<std::byte const> bytes, wire::Parcel const& parcel)
      : Outgoing(content, bytes) {
    if (parcel.empty()) return;
    content_.has_references = true;
    move_to_block(parcel);
  }

  /// As often as it is Full.
  Lane::Outcome put(Lane& lane, sync::Seated const& me, base::Deadline deadline) {
    if (!block_.lease && bytes_.size() <= Lane::kLargestInline) {
      auto const copy = [this](std::byte* to) {
        if (!bytes_.empty()) std::memcpy(to, bytes_.data(), bytes_.size());
      };
      return lane.put(me, content_, bytes_.size(), copy, deadline);
    }
    if (!block_.lease) move_to_block({});
    return lane.put_block(me, content_, size_, block_, deadline);
  }

  /// What Lane::has_room() is to be asked for.
  std::uint64_t weight() const noexcept {
    if (block_.lease) return std::max<std::uint64_t>(size_, 1);
    return bytes_.size() <= Lane::kLargestInline ? 0 : bytes_.size();
  }

 private:
  void move_to_block(wire::Parcel const& parcel) {
    size_ = bytes_.size();
    block_ = enclose(bytes_, parcel);
  }

  Content content_;
  std::span<std::byte const> bytes_;
  Enclosed block_;
  std::uint64_t size_ = 0;
};

/// Encodes `value` and hands it to `send(Outgoing&)`; a Flat value to `send_flat(size, fill)`.
/// Throws: PicklingError, std::bad_alloc, what the type's own functions throw, what these do.
template <wire::Picklable T, class SendFlat, class Send>
auto encode_message(T const& value, bool is_typed, SendFlat const& send_flat, Send const& send) {
  constexpr TypeTag kTag = wire::kTypeHash<std::remove_const_t<T>>;
  std::size_t const prefix = is_typed ? sizeof kTag : 0;
  Content const content{.is_bytes = false, .is_typed = is_typed, .has_references = false};
  if constexpr (Flat<T>) {
    auto const fill = [&](std::byte* to) {
      if (is_typed) std::memcpy(to, &kTag, sizeof kTag);
      wire::encode_into({to + prefix, sizeof(T)}, value);
    };
    return send_flat(content, prefix + sizeof(T), fill);
  } else {
    if constexpr (wire::OnePiece<T>) {
      auto const size = wire::encode_into({}, value);
      if (size > Lane::kLargestInline) {  // straight to where it will be read
        auto block = make_block(prefix + size);
        std::byte* const to = block.lease->data();
        if (is_typed) std::memcpy(to, &kTag, sizeof kTag);
        wire::encode_into({to + prefix, size}, value);
        Outgoing outgoing(content, std::move(block), prefix + size);
        return send(outgoing);
      }
    }
    Scratch scratch;
    auto& bytes = scratch.bytes();
    bytes.resize(prefix);
    if (is_typed) std::memcpy(bytes.data(), &kTag, sizeof kTag);
    wire::Parcel parcel;
    wire::encode(bytes, value, parcel);
    Outgoing outgoing(content, bytes, parcel);
    return send(outgoing);
  }
}

/// A message that was taken from a lane.
class Received {
 public:
  Content content() const noexcept { return content_; }
  std::span<std::byte const> bytes() const noexcept { return bytes_; }

  /// For Lane::get(): copies what is inline, keeps what is in a block.
  bool take(Incoming const& incoming) {
    content_ = incoming.content;
    lease_ = incoming.lease;
    bytes_ = incoming.bytes;
    if (lease_ == nullptr) {
      auto& own = scratch_.bytes();
      own.assign(bytes_.begin(), bytes_.end());
      bytes_ = own;
    }
    return true;
  }

  /// What keeps the bytes, when they are in a block.
  std::shared_ptr<shm::Lease const> const& lease() const noexcept { return lease_; }

  /// What came along. Throws: std::bad_alloc.
  wire::Parcel parcel() const {
    return content_.has_references ? enclosed_in(lease_->block()) : wire::Parcel();
  }

 private:
  Content content_;
  std::span<std::byte const> bytes_;
  std::shared_ptr<shm::Lease const> lease_;
  Scratch scratch_;
};

/// `parcel`: what came along, or nothing. Throws: TypeError when the message is something else,
/// UnpicklingError, std::bad_alloc, what the type's own functions throw.
template <wire::Picklable T, class... Parcel>
T decode_message(Call call, Content content, std::span<std::byte const> bytes,
                 Parcel const&... parcel) {
  if (content.is_bytes) {
    throw TypeError(call.text() + ": the message is bytes, not a " + base::type_name(typeid(T)));
  }
  if (content.is_typed) {
    TypeTag tag = 0;
    std::memcpy(&tag, bytes.data(), sizeof tag);
    if (tag != wire::kTypeHash<T>) {
      throw TypeError(call.text() + ": the message holds another type than " +
                      base::type_name(typeid(T)));
    }
    bytes = bytes.subspan(sizeof tag);
  }
  T value = wire::decode<T>(bytes, parcel...);
  if (!bytes.empty()) {
    throw UnpicklingError(call.text() + ": " + std::to_string(bytes.size()) +
                          " bytes are left behind the value");
  }
  return value;
}

/// Something that messages are sent to: a PipeEnd, a QueueEnd.
template <class Port>
bool send_message(Port& port, Call call, Outgoing& message, base::Deadline deadline) {
  auto const& me = sync::this_thread_seated();
  return port.send(
      call, message.weight(),
      [&](Lane& lane, base::Deadline until) { return message.put(lane, me, until); }, deadline);
}

/// False: the deadline has passed. Throws: as encode_message(), and what `port` does.
template <wire::Picklable T, class Port>
bool send_value(Port& port, Call call, T const& value, bool is_typed, base::Deadline deadline) {
  auto const send_flat = [&](Content content, std::size_t size, auto const& fill) {
    auto const& me = sync::this_thread_seated();
    return port.send(
        call, 0,
        [&](Lane& lane, base::Deadline until) { return lane.put(me, content, size, fill, until); },
        deadline);
  };
  return encode_message(value, is_typed, send_flat, [&](Outgoing& message) {
    return send_message(port, call, message, deadline);
  });
}

/// nullopt: the deadline has passed. Throws: as decode_message(), and what `port` does.
template <wire::Picklable T, class Port>
std::optional<T> receive_value(Port& port, Call call, base::Deadline deadline) {
  if constexpr (Flat<T>) {  // without scratch memory
    Content content;
    std::size_t size = 0;
    std::array<std::byte, sizeof(TypeTag) + sizeof(T)> bytes;
    auto const copy = [&](Incoming const& incoming) {
      content = incoming.content;
      size = std::min(incoming.bytes.size(), bytes.size());
      if (incoming.bytes.size() == sizeof(T)) {  // of a size that the compiler knows
        std::memcpy(bytes.data(), incoming.bytes.data(), sizeof(T));
      } else if (size != 0) {
        std::memcpy(bytes.data(), incoming.bytes.data(), size);
      }
      return true;
    };
    if (port.receive(call, copy, deadline) == Passed::TimedOut) return std::nullopt;
    return decode_message<T>(call, content, {bytes.data(), size});
  } else {
    Received received;
    auto const take = [&](Incoming const& incoming) { return received.take(incoming); };
    if (port.receive(call, take, deadline) == Passed::TimedOut) return std::nullopt;
    return decode_message<T>(call, received.content(), received.bytes(), received.parcel());
  }
}

}  // namespace multiprocessing::channel
