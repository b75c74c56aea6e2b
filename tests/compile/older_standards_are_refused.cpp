// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -std=c++17
// expect: multiprocessing: C++20 is needed; compile with -std=c++20 or later
#include <multiprocessing/errors.hpp>

inline multiprocessing::Error error() { return multiprocessing::Error("text"); }
