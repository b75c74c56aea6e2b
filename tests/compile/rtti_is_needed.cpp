// SPDX-License-Identifier: BSL-1.0
// flags with WRONG: -fno-rtti
// expect: multiprocessing: typeid is needed
#include <multiprocessing/errors.hpp>

inline multiprocessing::Error error() { return multiprocessing::Error("text"); }
