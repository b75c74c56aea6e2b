// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -std=c++17
// expect: multiprocessing: C++20 is needed; compile with -std=c++20 or later
#include <multiprocessing/event.hpp>

inline bool is_set(multiprocessing::Event const& event) { return event.is_set(); }
