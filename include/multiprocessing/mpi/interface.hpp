// SPDX-License-Identifier: BSL-1.0
// MPI's interface, without that for C++ of old: nothing here uses it, and it would have to be
// linked.
#pragma once

#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>  // IWYU pragma: export
