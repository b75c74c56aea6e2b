// SPDX-License-Identifier: BSL-1.0
// Everything. Users say once: namespace mp = multiprocessing;
#pragma once

#include <multiprocessing/errors.hpp>   // IWYU pragma: export
#include <multiprocessing/pool.hpp>     // IWYU pragma: export
#include <multiprocessing/process.hpp>  // IWYU pragma: export
