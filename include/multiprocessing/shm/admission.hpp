// SPDX-License-Identifier: BSL-1.0
// How a process that was started by exec comes into its parent's heap: the parent claims a place
// for it, and leaves the number and the heap's descriptors in the socket that the new program
// finds.
//
//   parent                                   child
//   claim a place
//   Admission::send ---- place, fds ------>  Admission::of_this_process, at the heap's first use
//   note the child's pid                     map the segment, enter the place
//
// Failure   killed before it enters: its pid is known, so its place is freed as any dead one's.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fd_message.hpp>
#include <multiprocessing/os/fd_queue.hpp>
#include <multiprocessing/os/handoff.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/shm/arena_layout.hpp>
#include <multiprocessing/shm/vault.hpp>

namespace multiprocessing::shm {

/// A place among the participants, for one process. Kept for good by a number and a generation.
struct Place {
  Number number = ArenaLayout::kNobody;
  std::uint32_t generation = 0;
};

/// What the new process has to have.
struct Admission {
  Place place;
  os::Fd segment;
  os::FdQueue files;
  os::FdQueue others;

  /// To be called before anything else is sent there. Throws: std::system_error.
  static void send(os::Fd const& socket, Place place, os::Fd const& segment, Vault const& vault) {
    Message const message{Message::kMagic, place};
    std::array const fds{segment.get(), vault.files().in().get(), vault.files().out().get(),
                         vault.others().in().get(), vault.others().out().get()};
    os::send_with_fds(socket, std::as_bytes(std::span(&message, 1)), fds);
  }

  /// nullopt where nobody left one. To be called once. Throws: Error when it comes from another
  /// version of this library, std::system_error.
  static std::optional<Admission> of_this_process() {
    if (!os::handoff()) return std::nullopt;
    Message message{};
    auto const room = std::as_writable_bytes(std::span(&message, 1));
    auto received = os::receive_with_fds(os::handoff(), room, MSG_DONTWAIT);
    if (received.is_cut) os::throw_error(EMFILE, "recvmsg", "the descriptors of the heap");
    if (received.size != sizeof message || message.magic != Message::kMagic ||
        received.fds.size() != kFds) {
      throw Error("the program that started this one has another version of multiprocessing");
    }
    auto& fds = received.fds;
    return Admission{message.place, std::move(fds[0]),
                     os::FdQueue(std::move(fds[1]), std::move(fds[2])),
                     os::FdQueue(std::move(fds[3]), std::move(fds[4]))};
  }

 private:
  static constexpr std::size_t kFds = 5;

  struct Message {
    static constexpr std::uint64_t kMagic = 0x317464'6163706dU;  // "mpcadt1" in memory

    std::uint64_t magic;
    Place place;
  };
};

}  // namespace multiprocessing::shm
