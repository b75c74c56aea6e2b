#include <multiprocessing/shm/high.hpp>  // what the check must find
