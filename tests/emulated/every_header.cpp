// SPDX-License-Identifier: BSL-1.0
// For a processor that only an emulator is there of: every header can be compiled.
#include <multiprocessing.hpp>
