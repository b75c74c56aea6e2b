// SPDX-License-Identifier: BSL-1.0
// What the library asks of the compiler, said in a sentence where it is not there.
#pragma once

#if __cplusplus < 202002L
#error "multiprocessing: C++20 is needed; compile with -std=c++20 or later"
#endif
#ifndef __cpp_exceptions
#error "multiprocessing: exceptions are needed, they are how errors and deaths of other processes \
arrive; compile without -fno-exceptions"
#endif
#ifndef __cpp_rtti
#error "multiprocessing: typeid is needed, it tells messages of one type from those of another; \
compile without -fno-rtti"
#endif
#ifndef __linux__
#error "multiprocessing: this is for Linux only"
#endif
