// SPDX-License-Identifier: BSL-1.0
// Everything. Users say once: namespace mp = multiprocessing;
#pragma once

#include <multiprocessing/array.hpp>                  // IWYU pragma: export
#include <multiprocessing/async_result.hpp>           // IWYU pragma: export
#include <multiprocessing/barrier.hpp>                // IWYU pragma: export
#include <multiprocessing/base_manager.hpp>           // IWYU pragma: export
#include <multiprocessing/call.hpp>                   // IWYU pragma: export
#include <multiprocessing/channel.hpp>                // IWYU pragma: export
#include <multiprocessing/condition.hpp>              // IWYU pragma: export
#include <multiprocessing/context.hpp>                // IWYU pragma: export
#include <multiprocessing/dict_proxy.hpp>             // IWYU pragma: export
#include <multiprocessing/errors.hpp>                 // IWYU pragma: export
#include <multiprocessing/event.hpp>                  // IWYU pragma: export
#include <multiprocessing/fd.hpp>                     // IWYU pragma: export
#include <multiprocessing/future.hpp>                 // IWYU pragma: export
#include <multiprocessing/lazy_range.hpp>             // IWYU pragma: export
#include <multiprocessing/list_proxy.hpp>             // IWYU pragma: export
#include <multiprocessing/listener.hpp>               // IWYU pragma: export
#include <multiprocessing/lock.hpp>                   // IWYU pragma: export
#include <multiprocessing/logging.hpp>                // IWYU pragma: export
#include <multiprocessing/manager.hpp>                // IWYU pragma: export
#include <multiprocessing/manager_server.hpp>         // IWYU pragma: export
#include <multiprocessing/namespace_proxy.hpp>        // IWYU pragma: export
#include <multiprocessing/object_proxy.hpp>           // IWYU pragma: export
#include <multiprocessing/pickle.hpp>                 // IWYU pragma: export
#include <multiprocessing/pipe.hpp>                   // IWYU pragma: export
#include <multiprocessing/pool.hpp>                   // IWYU pragma: export
#include <multiprocessing/pool_proxy.hpp>             // IWYU pragma: export
#include <multiprocessing/process.hpp>                // IWYU pragma: export
#include <multiprocessing/process_pool_executor.hpp>  // IWYU pragma: export
#include <multiprocessing/progress.hpp>               // IWYU pragma: export
#include <multiprocessing/queue.hpp>                  // IWYU pragma: export
#include <multiprocessing/remote_manager.hpp>         // IWYU pragma: export
#include <multiprocessing/semaphore.hpp>              // IWYU pragma: export
#include <multiprocessing/set_proxy.hpp>              // IWYU pragma: export
#include <multiprocessing/shareable_list.hpp>         // IWYU pragma: export
#include <multiprocessing/shareable_value.hpp>        // IWYU pragma: export
#include <multiprocessing/shared_memory.hpp>          // IWYU pragma: export
#include <multiprocessing/shared_memory_manager.hpp>  // IWYU pragma: export
#include <multiprocessing/socket_connection.hpp>      // IWYU pragma: export
#include <multiprocessing/start_method.hpp>           // IWYU pragma: export
#include <multiprocessing/value.hpp>                  // IWYU pragma: export
#include <multiprocessing/wait.hpp>                   // IWYU pragma: export
