// SPDX-License-Identifier: BSL-1.0
// What a process that is not a copy of its parent has to know, in a block of the heap: who it is,
// and what it was started for. The parent keeps the block until the child has read it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/launch/child_setup.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log_settings.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::launch {

/// Where a letter lies: goes from process to process as these bytes, with the descriptors that are
/// `present`.
struct LetterPlace {
  shm::Number block = shm::Arena::kNobody;
  std::uint32_t present = 0;
  std::uint64_t id = 0;  ///< of the block then
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// As it was written.
struct Letter {
  std::shared_ptr<Identity> who;
  StartMethod default_method = StartMethod::fork;
  LogSettings log_settings;
  ChildSetup setup;
  std::unique_ptr<Target> target;
};

namespace letter_detail {
/// Who has the letter, in its first bytes: nobody yet, nobody ever, or the process of this pid.
using Reader = std::atomic<std::uint32_t>;
inline constexpr std::uint32_t kNobodyYet = 0;
inline constexpr std::uint32_t kNobodyEver = UINT32_MAX;

inline Reader& reader_at(std::byte* letter) noexcept {
  return *std::launder(reinterpret_cast<Reader*>(letter));
}

/// What the letter says before the target.
struct Head {
  std::string name;
  std::string number;
  bool daemon = false;
  pid_t parent_pid = 0;
  std::string parent_name;
  StartMethod default_method = StartMethod::fork;
  ChildSetup setup;
};
}  // namespace letter_detail

/// Keeps what it has written, and the descriptors that go with it, as long as it lives.
class WrittenLetter {
 public:
  /// Throws: TypeError when the target can not be sent, std::bad_alloc, what its parts' own
  /// functions throw.
  WrittenLetter(Identity const& who, ChildSetup const& setup, ChildFds const& fds,
                Target const& target)
      : fds_(fds) {
    wire::Bytes bytes(sizeof(letter_detail::Reader));
    wire::Parcel parcel;
    wire::encode(bytes,
                 letter_detail::Head{who.name, who.number, who.daemon, who.parent_pid,
                                     who.parent_name, DefaultMethod::instance().get(), setup});
    wire::encode(bytes, current_log_settings(), parcel);
    target.save(bytes, parcel);
    block_ = channel::enclose(bytes, parcel);
    size_ = bytes.size();
    new (block_.lease->data() + block_.offset) letter_detail::Reader(letter_detail::kNobodyYet);
  }

  LetterPlace place() const noexcept {
    return {block_.lease->block(), fds_.present(), block_.lease->id(), block_.offset, size_};
  }
  /// Nobody will read it any more; unless somebody has begun to, who is returned.
  std::optional<pid_t> withdraw() const noexcept {
    auto reader = letter_detail::kNobodyYet;
    auto& word = letter_detail::reader_at(block_.lease->data() + block_.offset);
    if (word.compare_exchange_strong(reader, letter_detail::kNobodyEver)) return std::nullopt;
    if (reader == letter_detail::kNobodyEver) return std::nullopt;
    return static_cast<pid_t>(reader);
  }
  void send(os::Fd const& socket) const {
    auto const letter = place();
    os::send_with_fds(socket, std::as_bytes(std::span(&letter, 1)), fds_.numbers());
  }

 private:
  ChildFds const& fds_;
  channel::Enclosed block_;
  std::uint64_t size_;
};

/// Throws: Error when whoever wrote it has ended, or wants it no more; UnpicklingError,
/// std::bad_alloc, what the functions of the target's parts throw.
inline Letter read_letter(LetterPlace const& place) {
  shm::Lease const block(shm::InUse{place.block});
  // Held now; so it is the letter's block, or has been another's before.
  if (!shm::Heap::instance().arena().exists(place.id)) {
    throw Error("the process that started this one has ended");
  }
  if (place.offset > block.size() || place.size > block.size() - place.offset ||
      place.size < sizeof(letter_detail::Reader)) {
    throw UnpicklingError("the letter to a process does not lie in its block");
  }
  auto nobody = letter_detail::kNobodyYet;
  auto& reader = letter_detail::reader_at(block.data() + place.offset);
  if (!reader.compare_exchange_strong(nobody, static_cast<std::uint32_t>(os::this_pid()))) {
    throw Error("another process does what this one was started for");
  }
  std::span<std::byte const> bytes(block.data() + place.offset, place.size);
  bytes = bytes.subspan(sizeof(letter_detail::Reader));
  auto head = wire::decode<letter_detail::Head>(bytes);
  auto who = std::make_shared<Identity>();
  who->name = std::move(head.name);
  who->number = std::move(head.number);
  who->daemon = head.daemon;
  who->parent_pid = head.parent_pid;
  who->parent_name = std::move(head.parent_name);
  auto const parcel = channel::enclosed_in(block.block());
  auto log_settings = wire::decode<LogSettings>(bytes, parcel);
  return {std::move(who), head.default_method, std::move(log_settings), std::move(head.setup),
          read_target(bytes, parcel)};
}

}  // namespace multiprocessing::launch
