// SPDX-License-Identifier: BSL-1.0
// How much memory can still be had. Linux grants any single page of a big request, and ends some
// process when there are no more; so who asks for much asks here first.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace multiprocessing::os {

namespace memory_detail {
inline constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

/// The number in a file of /sys; kUnlimited where there is none ("max", no such file).
std::uint64_t number_in(std::string const& path);

/// What the machine has, free or freed on demand, swap included.
std::uint64_t of_the_machine();

/// What is left below the limit of one group; kUnlimited where there is none. Pages of files count
/// as used there, but are given up on demand.
std::uint64_t left_of(std::string const& limit, std::string const& used,
                      std::string const& statistics);

/// What the control group of this process, and those above it, still allow.
std::uint64_t of_the_control_groups();
}  // namespace memory_detail

/// In bytes; an estimate, others may take it first. The largest number where nobody can tell.
std::uint64_t available_memory();

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/memory.ipp>
#endif
