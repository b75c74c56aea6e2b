// SPDX-License-Identifier: BSL-1.0
// The MPI job that a test is part of: every rank runs the same tests at once.
#pragma once

#include <multiprocessing/mpi/world.hpp>

namespace support {

/// Made by the program's main().
multiprocessing::mpi::World& world();

}  // namespace support
