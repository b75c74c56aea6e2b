// SPDX-License-Identifier: BSL-1.0
// Messages of no bytes through the ends of pipes and queues.
#pragma once

#include <cstddef>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/channel/call.hpp>
#include <multiprocessing/channel/lane.hpp>
#include <multiprocessing/channel/wait.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace support {

inline constexpr multiprocessing::channel::Call kCall{"End", "call"};

template <class End>
bool send_nothing(
    End& end, multiprocessing::base::Deadline deadline = multiprocessing::base::Deadline::never()) {
  auto const put = [](multiprocessing::channel::Lane& lane, multiprocessing::base::Deadline until) {
    return lane.put(
        multiprocessing::sync::this_thread_seated(), {}, 0, [](std::byte*) {}, until);
  };
  return end.send(kCall, 0, put, deadline);
}

template <class End>
multiprocessing::channel::Passed receive_any(
    End& end, multiprocessing::base::Deadline deadline = multiprocessing::base::Deadline::never()) {
  return end.receive(
      kCall, [](multiprocessing::channel::Incoming const&) { return true; }, deadline);
}

}  // namespace support
