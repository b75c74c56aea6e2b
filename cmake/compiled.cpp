// SPDX-License-Identifier: BSL-1.0
// The source file of multiprocessing::compiled.
#include <multiprocessing/all.ipp>
