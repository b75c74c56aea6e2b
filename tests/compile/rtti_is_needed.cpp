// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -fno-rtti
// expect: multiprocessing: typeid is needed
#include <multiprocessing/event.hpp>

inline bool is_set(multiprocessing::Event const& event) { return event.is_set(); }
