// SPDX-License-Identifier: BSL-1.0
// expect: a value of this type can not live in shared memory
// expect: is not trivially copyable, or holds a pointer or a reference
#include <string>

#include <multiprocessing/array.hpp>

#ifdef WRONG
using Element = std::string;
#else
using Element = char;
#endif

bool use(multiprocessing::Array<Element> const& array) { return array.empty(); }
