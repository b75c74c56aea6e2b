// SPDX-License-Identifier: BSL-1.0
// Another run of a program, at a cost that does not depend on how much memory this process has.
#pragma once

#include <spawn.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/handoff.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// This program, also where its file has been replaced or deleted since.
inline constexpr char kThisProgram[] = "/proc/self/exe";

/// Starts `program` with `argv` and `environment`, all of it to be found. It has the standard
/// streams, but input from nowhere, `socket` as kHandoffFd, and no other descriptor; no handlers,
/// nothing blocked but SIGINT, which is for the program to handle first, and what was ignored is,
/// but for SIGTERM and SIGCHLD.
/// Blocks: until the program runs. Throws: std::system_error when it can not be run.
inline pid_t spawn_program(std::string const& program, std::vector<std::string> const& argv,
                           std::vector<std::string> const& environment, Fd const& socket) {
  auto const require = [](int error, char const* call, std::string const& object) {
    if (error != 0) throw_error(error, call, object);
  };
  posix_spawn_file_actions_t actions;
  require(::posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init", {});
  base::ScopeGuard const end_actions([&] { ::posix_spawn_file_actions_destroy(&actions); });
  posix_spawnattr_t attributes;
  require(::posix_spawnattr_init(&attributes), "posix_spawnattr_init", {});
  base::ScopeGuard const end_attributes([&] { ::posix_spawnattr_destroy(&attributes); });

  auto const add = [&](int error) { require(error, "posix_spawn_file_actions", program); };
  // In this order: the second may take the first one's number.
  Fd const null = open_null();
  if (null) add(::posix_spawn_file_actions_adddup2(&actions, null.get(), STDIN_FILENO));
  // The same number is a duplicate, too: it stays open in the new program.
  add(::posix_spawn_file_actions_adddup2(&actions, socket.get(), kHandoffFd));
  add(::posix_spawn_file_actions_addclosefrom_np(&actions, kHandoffFd + 1));

  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigset_t to_default;
  sigemptyset(&to_default);
  sigaddset(&to_default, SIGTERM);
  sigaddset(&to_default, SIGCHLD);
  require(::posix_spawnattr_setsigmask(&attributes, &blocked), "posix_spawnattr_setsigmask", {});
  require(::posix_spawnattr_setsigdefault(&attributes, &to_default),
          "posix_spawnattr_setsigdefault", {});
  require(::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
          "posix_spawnattr_setflags", {});

  auto const pointers = [](std::vector<std::string> const& texts) {
    std::vector<char*> array;
    for (auto const& text : texts) array.push_back(const_cast<char*>(text.c_str()));
    array.push_back(nullptr);
    return array;
  };
  pid_t pid = -1;
  require(::posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers(argv).data(),
                        pointers(environment).data()),
          "posix_spawn", program);
  return pid;
}

}  // namespace multiprocessing::os
