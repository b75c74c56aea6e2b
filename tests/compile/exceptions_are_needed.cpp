// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -fno-exceptions
// expect: multiprocessing: exceptions are needed, they are how errors and deaths of other processes
#include <multiprocessing/errors.hpp>

inline multiprocessing::Error error() { return multiprocessing::Error("text"); }
