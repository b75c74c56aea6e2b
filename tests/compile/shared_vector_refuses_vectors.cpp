// SPDX-License-Identifier: BSL-1.0
// expect: a value of this type can not be in a shared container
#include <array>
#include <vector>

#include <multiprocessing/shared_vector.hpp>

#ifdef WRONG
using Row = std::vector<int>;
#else
using Row = std::array<int, 4>;
#endif

int use(multiprocessing::SharedVector<Row> const& rows) { return rows.at(0)[0]; }
