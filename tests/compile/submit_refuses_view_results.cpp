// SPDX-License-Identifier: BSL-1.0
// one error
// expect: std::string
#include <multiprocessing/process_pool_executor.hpp>

#include <string>
#include <string_view>

std::string_view name();
std::string own_name();

void use(multiprocessing::ProcessPoolExecutor& executor) {
#ifdef WRONG
  executor.submit(name);
#else
  executor.submit(own_name);
#endif
}
