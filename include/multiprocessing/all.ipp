// SPDX-License-Identifier: BSL-1.0
// What MULTIPROCESSING_SEPARATE_COMPILATION leaves out of all other translation units: to be
// included in one source file of a program, as multiprocessing::compiled of CMake does.
#pragma once

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#error \
    "multiprocessing: all.ipp is for programs that are compiled with \
-DMULTIPROCESSING_SEPARATE_COMPILATION; others have it all in the headers"
#endif

#include <multiprocessing/channel/acceptor.ipp>
#include <multiprocessing/channel/address.ipp>
#include <multiprocessing/channel/authentication.ipp>
#include <multiprocessing/channel/connector.ipp>
#include <multiprocessing/channel/readiness.ipp>
#include <multiprocessing/channel/socket_stream.ipp>
#include <multiprocessing/errors.ipp>
#include <multiprocessing/launch/child.ipp>
#include <multiprocessing/launch/child_setup.ipp>
#include <multiprocessing/launch/fork_server.ipp>
#include <multiprocessing/launch/handler_list.ipp>
#include <multiprocessing/launch/identity.ipp>
#include <multiprocessing/launch/life_line.ipp>
#include <multiprocessing/launch/log.ipp>
#include <multiprocessing/launch/process_record.ipp>
#include <multiprocessing/launch/stderr_handler.ipp>
#include <multiprocessing/os/code_name.ipp>
#include <multiprocessing/os/crash_handler.ipp>
#include <multiprocessing/os/fd_message.ipp>
#include <multiprocessing/os/memfd.ipp>
#include <multiprocessing/os/memory.ipp>
#include <multiprocessing/os/module.ipp>
#include <multiprocessing/os/named_memory.ipp>
#include <multiprocessing/os/pidfd.ipp>
#include <multiprocessing/os/poll.ipp>
#include <multiprocessing/os/socket.ipp>
#include <multiprocessing/os/socket_address.ipp>
#include <multiprocessing/os/stdio.ipp>
#include <multiprocessing/os/text_file.ipp>
#include <multiprocessing/serve/client.ipp>
#include <multiprocessing/serve/network_client.ipp>
#include <multiprocessing/serve/network_server.ipp>
#include <multiprocessing/serve/object_table.ipp>
#include <multiprocessing/serve/request.ipp>
#include <multiprocessing/serve/server.ipp>
#include <multiprocessing/serve/session.ipp>
#include <multiprocessing/shareable_list.ipp>
#include <multiprocessing/shareable_value.ipp>
#include <multiprocessing/shared_memory.ipp>
#include <multiprocessing/shm/arena.ipp>
#include <multiprocessing/shm/changing_memory.ipp>
#include <multiprocessing/shm/private_arena.ipp>
#include <multiprocessing/shm/vault.ipp>
#include <multiprocessing/start_method.ipp>
#include <multiprocessing/wire/exception.ipp>
#include <multiprocessing/work/callbacks.ipp>
#include <multiprocessing/work/code_table.ipp>
#include <multiprocessing/work/crew.ipp>
#include <multiprocessing/work/death_log.ipp>
#include <multiprocessing/work/trace_file.ipp>
#include <multiprocessing/work/worker_death.ipp>
