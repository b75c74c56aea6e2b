// SPDX-License-Identifier: BSL-1.0
// one error
// expect: multiprocessing: a view (std::string_view, std::span, std::initializer_list)
#include <string_view>

#include <multiprocessing/pool.hpp>

void use(multiprocessing::Pool& pool) {
#ifdef WRONG
  pool.map([](int) { return std::string_view("x"); }, std::vector{1});
#else
  pool.map([](int) { return std::string("x"); }, std::vector{1});
#endif
}
