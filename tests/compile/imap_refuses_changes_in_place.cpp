// SPDX-License-Identifier: BSL-1.0
// expect: only Pool::map changes the elements of an array in place
#include <multiprocessing/array.hpp>
#include <multiprocessing/pool.hpp>

void halve(int& x);
int half_of(int x);

void use(multiprocessing::Pool& pool, multiprocessing::Array<int>& numbers) {
#ifdef WRONG
  for (auto result : pool.imap(halve, numbers)) static_cast<void>(result);
#else
  for (auto result : pool.imap(half_of, numbers)) static_cast<void>(result);
#endif
}
