// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <multiprocessing/low.hpp>

inline void high() { low(); }
