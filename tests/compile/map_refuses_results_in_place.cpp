// SPDX-License-Identifier: BSL-1.0
// one error
// expect: changes its elements in place, and has to return nothing
#include <multiprocessing/array.hpp>
#include <multiprocessing/pool.hpp>

int twice(int& x);
void halve(int& x);

void use(multiprocessing::Pool& pool, multiprocessing::Array<int>& numbers) {
#ifdef WRONG
  pool.map(twice, numbers);
#else
  pool.map(halve, numbers);
#endif
}
