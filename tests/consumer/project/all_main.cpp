// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing.hpp>

#include <sys/wait.h>  // behind the library: its names must be as the system made them

int sum_of_squares(multiprocessing::Pool& pool);  // in the other translation unit

int main() {
  siginfo_t info;
  if (::waitid(P_PIDFD, 12345, &info, WEXITED | WNOHANG) == 0) return 2;
  multiprocessing::Pool pool(2);
  auto const doubled = pool.map([](int x) { return 2 * x; }, std::vector{1, 2, 3});
  return doubled == std::vector{2, 4, 6} && sum_of_squares(pool) == 14 ? 0 : 1;
}
