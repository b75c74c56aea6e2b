// SPDX-License-Identifier: BSL-1.0
// The bodies of child_setup.hpp.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/child_setup.hpp>
#include <multiprocessing/launch/life_line.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fork_gate.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/scheduling.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing {
namespace launch {

MULTIPROCESSING_INLINE bool ChildSetup::is_empty() const noexcept {
  return cpus.empty() && !nice && rlimits.empty() && env.empty() && cwd.empty() && !process_group &&
         !dies_with_parent;
}

MULTIPROCESSING_INLINE void ChildFds::Pipes::close() noexcept {
  os::ForkGateGuard const gate;
  give_up();
}

MULTIPROCESSING_INLINE void ChildFds::Pipes::give_up() noexcept {
  for (auto& end : ends) end.reset();
}

MULTIPROCESSING_INLINE ChildFds::ChildFds(std::array<Stream, 3> const& streams,
                                          bool dies_with_parent) {
  bool const has_pipes = std::any_of(streams.begin(), streams.end(), [](Stream const& stream) {
    return stream.kind() == Stream::Kind::Pipe;
  });
  if (has_pipes) {
    channel::register_heirloom(held_);
    channel::register_heirloom(pipes_);
  }
  for (std::size_t stream = 0; stream < streams.size(); ++stream) open(streams[stream], stream);
  if (dies_with_parent) {
    auto& life_line = held_->fds[kLifeLine];
    life_line = os::Fd(::fcntl(LifeLine::reader(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!life_line) os::throw_errno("fcntl", "F_DUPFD_CLOEXEC");
  }
}

MULTIPROCESSING_INLINE ChildFds::ChildFds(std::uint32_t present, std::vector<os::Fd> fds) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < kCount && next < fds.size(); ++i) {
    if ((present >> i & 1) != 0) held_->fds[i] = std::move(fds[next++]);
  }
}

MULTIPROCESSING_INLINE ChildFds::~ChildFds() {
  os::ForkGateGuard const gate;
  held_->give_up();
}

MULTIPROCESSING_INLINE std::uint32_t ChildFds::present() const noexcept {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < kCount; ++i) bits |= (held_->fds[i] ? 1U : 0U) << i;
  return bits;
}

MULTIPROCESSING_INLINE std::vector<int> ChildFds::numbers() const {
  std::vector<int> numbers;
  for (auto const& fd : held_->fds) {
    if (fd) numbers.push_back(fd.get());
  }
  return numbers;
}

MULTIPROCESSING_INLINE void ChildFds::close() noexcept {
  held_->give_up();
  pipes_->give_up();
}

MULTIPROCESSING_INLINE void ChildFds::Held::give_up() noexcept {
  for (auto& fd : fds) fd.reset();
}

MULTIPROCESSING_INLINE void ChildFds::open(Stream const& stream, std::size_t number) {
  auto& fd = held_->fds[number];
  bool const is_input = number == STDIN_FILENO;
  auto const open_file = [&](char const* path) {
    int const flags = is_input ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
    constexpr mode_t kMode = 0666;
    fd = os::above_standard(
        static_cast<int>(os::retry_eintr([&] { return ::open(path, flags | O_CLOEXEC, kMode); })));
    if (!fd) os::throw_errno("open", path);
  };
  switch (stream.kind()) {
    case Stream::Kind::Default:
      break;
    case Stream::Kind::Inherit:
      if (!is_input) break;
      fd = os::Fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
      if (!fd) os::throw_errno("fcntl", "standard input");
      break;
    case Stream::Kind::Null:
      open_file("/dev/null");
      break;
    case Stream::Kind::File:
      open_file(stream.path().c_str());
      break;
    case Stream::Kind::Pipe: {
      os::ForkGateGuard const gate;  // no fork comes between
      auto pipe = os::create_pipe();
      fd = std::move(is_input ? pipe.reader : pipe.writer);
      pipes_->ends[number] = std::move(is_input ? pipe.writer : pipe.reader);
      break;
    }
  }
}

MULTIPROCESSING_INLINE void apply(ChildSetup const& setup, ChildFds const& fds) {
  auto const require = [](bool done, char const* call, std::string const& value) {
    if (!done) os::throw_errno(call, value);
  };
  for (int stream = 0; stream <= STDERR_FILENO; ++stream) {
    auto const& fd = fds[static_cast<std::size_t>(stream)];
    if (fd) require(::dup2(fd.get(), stream) != -1, "dup2", std::to_string(stream));
  }
  if (setup.sigint == SigintPolicy::ignore) {
    os::ignore_signal(SIGINT);
  } else {
    os::handle_signal_by_default(SIGINT);  // a fork server ignores it
  }
  os::unblock_signal(SIGINT);  // which spawn_program() does not
  if (setup.process_group) require(::setpgid(0, 0) == 0, "setpgid", "0");
  for (auto const& [name, value] : setup.env) {
    require(::setenv(name.c_str(), value.c_str(), 1) == 0, "setenv", name);
  }
  if (!setup.cwd.empty()) require(::chdir(setup.cwd.c_str()) == 0, "chdir", setup.cwd);
  for (auto const& limit : setup.rlimits) {
    rlimit const values{limit.soft, limit.hard};
    require(::setrlimit(static_cast<__rlimit_resource>(limit.resource), &values) == 0, "setrlimit",
            std::to_string(limit.resource));
  }
  if (setup.nice) os::set_nice(*setup.nice);
  if (!setup.cpus.empty()) os::run_on(os::processor_set(setup.cpus));
  if (fds[ChildFds::kLifeLine]) die_with(fds[ChildFds::kLifeLine].get());
}

}  // namespace launch

}  // namespace multiprocessing
