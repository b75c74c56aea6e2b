// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -fno-exceptions
// expect: multiprocessing: exceptions are needed, they are how errors and deaths of other processes
#include <multiprocessing/event.hpp>

inline bool is_set(multiprocessing::Event const& event) { return event.is_set(); }
