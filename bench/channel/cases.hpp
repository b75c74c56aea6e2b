// SPDX-License-Identifier: BSL-1.0
// The cases, as each of the processes that take part sees them: the same code for every peer. All
// that is received is checked.
#pragma once

#include <sched.h>
#include <unistd.h>

#include "control.hpp"
#include "peer.hpp"
#include "plan.hpp"
#include "round_trip.hpp"
#include "stream.hpp"

namespace bench {

/// Moves this process to the processor with this index; unless pinned, the kernel may move it on.
inline void go_to_processor(unsigned index, bool is_pinned) {
  cpu_set_t usable;
  ::sched_getaffinity(0, sizeof usable, &usable);
  index %= static_cast<unsigned>(CPU_COUNT(&usable));
  unsigned processor = 0;
  while (!CPU_ISSET(processor, &usable) || index-- > 0) ++processor;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  CPU_SET(processor, &chosen);
  ::sched_setaffinity(0, sizeof chosen, &chosen);
  if (!is_pinned) ::sched_setaffinity(0, sizeof usable, &usable);
}

/// All of what process `member` of plan.members() does.
template <Peer P>
void take_part(P const& peer, Plan const& plan, Control& control, unsigned member) {
  constexpr unsigned kTooLong = 120;  // seconds; who hangs is killed, and so fails
  ::alarm(kTooLong);
  go_to_processor(member, plan.options.is_pinned);
  auto const role = role_of(plan, member);
  auto endpoint = peer.open(role);
  switch (plan.what) {
    case Case::RoundTrip:
      return role.is_producer ? drive(endpoint, plan, control.result) : echo(endpoint, plan);
    case Case::Parked:
    case Case::ParkedIdle:
      return role.is_producer ? drive(endpoint, plan, control.result) : echo(endpoint, plan);
    case Case::Idle:
      return role.is_producer ? drive_idle(endpoint, plan) : idle(endpoint, plan, control.result);
    case Case::Stream:
    case Case::Many:
      if (!role.is_producer) return consume(endpoint, plan, control, role.index);
      produce(endpoint, plan, control, role.index);
      if (role.index == 0) require_all_arrived(control);
  }
}

}  // namespace bench
