// SPDX-License-Identifier: BSL-1.0
// Which sanitizers this is compiled with, told the same way by all compilers: 1 or 0.
#pragma once

#if defined(__has_feature)
#define MULTIPROCESSING_HAS_FEATURE(feature) __has_feature(feature)
#else
#define MULTIPROCESSING_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || MULTIPROCESSING_HAS_FEATURE(address_sanitizer)
#define MULTIPROCESSING_ADDRESS_SANITIZER 1
#else
#define MULTIPROCESSING_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || MULTIPROCESSING_HAS_FEATURE(thread_sanitizer)
#define MULTIPROCESSING_THREAD_SANITIZER 1
#else
#define MULTIPROCESSING_THREAD_SANITIZER 0
#endif
