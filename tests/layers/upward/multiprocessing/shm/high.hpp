#include <multiprocessing/os/low.hpp>  // allowed
