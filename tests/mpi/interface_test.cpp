// SPDX-License-Identifier: BSL-1.0
// Whoever compiles by hand has defined none of these.
#undef OMPI_SKIP_MPICXX
#undef MPICH_SKIP_MPICXX
#include <multiprocessing/mpi/interface.hpp>

#include "../support/catch.hpp"

namespace interface_test {

TEST_CASE("MPI comes without its interface for C++, which a program would have to link") {
#if defined(MPIPP_H) || defined(MPICXX_H) || !defined(OMPI_SKIP_MPICXX) || \
    !defined(MPICH_SKIP_MPICXX)
  FAIL("<mpicxx.h> was included");
#endif
  int version = 0;
  int subversion = 0;
  CHECK(MPI_Get_version(&version, &subversion) == MPI_SUCCESS);
  CHECK(version >= 3);
}

}  // namespace interface_test
