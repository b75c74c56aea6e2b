// SPDX-License-Identifier: BSL-1.0
// Where the bodies of the engine are compiled, which no template of the user's needs to see. A
// header `x.hpp` that has such bodies declares them, and has them in `x.ipp` beside it:
//
//   by default                             in every translation unit, as in any header-only library
//   -DMULTIPROCESSING_SEPARATE_COMPILATION once, in the one that includes multiprocessing/all.ipp
//                                          (CMake: multiprocessing::compiled); all translation
//                                          units of a program then have to agree on the macro
#pragma once

#ifdef MULTIPROCESSING_SEPARATE_COMPILATION
#define MULTIPROCESSING_INLINE
#else
#define MULTIPROCESSING_INLINE inline
#endif
