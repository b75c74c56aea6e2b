// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <multiprocessing/high.hpp>

void low();
