// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/high.ipp>
#endif
