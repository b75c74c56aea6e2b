// SPDX-License-Identifier: BSL-1.0
// expect: a raw pointer can not be sent to another process
#include <string>

#include <multiprocessing/pickle.hpp>

#ifdef WRONG
using Text = char const*;
#else
using Text = std::string;
#endif

void use(multiprocessing::Bytes const& bytes) { (void)multiprocessing::loads<Text>(bytes); }
