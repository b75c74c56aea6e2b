// SPDX-License-Identifier: BSL-1.0
// expect: results of this type can not be sent to another process
#include <string_view>

#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  pool.map([](int) { return std::string_view("x"); }, std::vector{1});
#else
  pool.map([](int) { return std::string("x"); }, std::vector{1});
#endif
}
