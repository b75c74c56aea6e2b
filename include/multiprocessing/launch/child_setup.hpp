// SPDX-License-Identifier: BSL-1.0
// What is different in a child from its parent, before it does anything.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/launch/life_line.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing {

/// A limit of setrlimit(2): RLIMIT_AS, RLIMIT_CPU .. Python: resource.setrlimit
struct ResourceLimit {
  int resource = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = soft;
};

/// Where a standard stream of a child leads. Python: the arguments of subprocess.Popen
class Stream {
 public:
  enum class Kind { Default, Inherit, Null, Pipe, File };

  /// Input from nowhere; output where the parent's goes.
  Stream() = default;
  /// As the parent's.
  static Stream inherit() { return Stream(Kind::Inherit); }
  /// To nowhere, and nothing to read.
  static Stream null() { return Stream(Kind::Null); }
  /// To the parent, see Process::stdin_pipe() and so on.
  static Stream pipe() { return Stream(Kind::Pipe); }
  /// From a file, or to it: what was there before is lost.
  static Stream file(std::string path) { return Stream(Kind::File, std::move(path)); }

  Kind kind() const noexcept { return kind_; }
  std::string const& path() const noexcept { return path_; }

 private:
  explicit Stream(Kind kind, std::string path = {}) : kind_(kind), path_(std::move(path)) {}

  Kind kind_ = Kind::Default;
  std::string path_;
};

namespace launch {

/// What can be told by values. Picklable.
struct ChildSetup {
  std::vector<int> cpus;
  std::optional<int> nice;
  std::vector<ResourceLimit> rlimits;
  std::map<std::string, std::string> env;
  std::string cwd;
  bool process_group = false;
  bool dies_with_parent = false;

  bool is_empty() const noexcept {
    return cpus.empty() && !nice && rlimits.empty() && env.empty() && cwd.empty() &&
           !process_group && !dies_with_parent;
  }
};

/// The descriptors that go with it: the standard streams that are not the parent's, and the life
/// line. Empty ones count as not there.
class ChildFds {
 public:
  static constexpr std::size_t kCount = 4;
  static constexpr std::size_t kLifeLine = 3;

  /// Opens what the streams say. Throws: std::system_error.
  ChildFds(std::array<Stream, 3> const& streams, bool dies_with_parent) {
    for (std::size_t stream = 0; stream < streams.size(); ++stream) open(streams[stream], stream);
    if (dies_with_parent) {
      fds_[kLifeLine] = os::Fd(::fcntl(LifeLine::reader(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
      if (!fds_[kLifeLine]) os::throw_errno("fcntl", "F_DUPFD_CLOEXEC");
    }
  }
  /// As present() and numbers() have told, in another process.
  ChildFds(std::uint32_t present, std::vector<os::Fd> fds) {
    std::size_t next = 0;
    for (std::size_t i = 0; i < kCount && next < fds.size(); ++i) {
      if ((present >> i & 1) != 0) fds_[i] = std::move(fds[next++]);
    }
  }

  /// A bit for each that is there.
  std::uint32_t present() const noexcept {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < kCount; ++i) bits |= (fds_[i] ? 1U : 0U) << i;
    return bits;
  }
  std::vector<int> numbers() const {
    std::vector<int> numbers;
    for (auto const& fd : fds_) {
      if (fd) numbers.push_back(fd.get());
    }
    return numbers;
  }
  os::Fd const& operator[](std::size_t i) const noexcept { return fds_[i]; }

  /// In a forked child, which has copies of both ends of its pipes.
  void close() noexcept {
    for (auto& fd : fds_) fd.reset();
    for (auto& pipe : pipes_) pipe.reset();
  }

  /// The parent's ends of pipes.
  std::array<os::Fd, 3> take_pipes() noexcept { return std::move(pipes_); }

 private:
  void open(Stream const& stream, std::size_t number) {
    bool const is_input = number == STDIN_FILENO;
    auto const open_file = [&](char const* path) {
      int const flags = is_input ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
      constexpr mode_t kMode = 0666;
      fds_[number] = os::above_standard(static_cast<int>(
          os::retry_eintr([&] { return ::open(path, flags | O_CLOEXEC, kMode); })));
      if (!fds_[number]) os::throw_errno("open", path);
    };
    switch (stream.kind()) {
      case Stream::Kind::Default:
        break;
      case Stream::Kind::Inherit:
        if (!is_input) break;
        fds_[number] = os::Fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        if (!fds_[number]) os::throw_errno("fcntl", "standard input");
        break;
      case Stream::Kind::Null:
        open_file("/dev/null");
        break;
      case Stream::Kind::File:
        open_file(stream.path().c_str());
        break;
      case Stream::Kind::Pipe: {
        auto line = os::create_life_line();  // a pipe
        fds_[number] = std::move(is_input ? line.reader : line.writer);
        pipes_[number] = std::move(is_input ? line.writer : line.reader);
        break;
      }
    }
  }

  std::array<os::Fd, kCount> fds_;
  std::array<os::Fd, 3> pipes_;
};

/// In the child. Throws: std::system_error, which names the call and the value.
inline void apply(ChildSetup const& setup, ChildFds const& fds) {
  auto const require = [](bool done, char const* call, std::string const& value) {
    if (!done) os::throw_errno(call, value);
  };
  for (int stream = 0; stream <= STDERR_FILENO; ++stream) {
    auto const& fd = fds[static_cast<std::size_t>(stream)];
    if (fd) require(::dup2(fd.get(), stream) != -1, "dup2", std::to_string(stream));
  }
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
  if (setup.nice) {
    require(::setpriority(PRIO_PROCESS, 0, *setup.nice) == 0, "setpriority",
            std::to_string(*setup.nice));
  }
  if (!setup.cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::string text;
    for (int const cpu : setup.cpus) {
      text += (text.empty() ? "" : ",") + std::to_string(cpu);
      if (cpu < 0 || cpu >= CPU_SETSIZE) os::throw_error(EINVAL, "sched_setaffinity", text);
      CPU_SET(cpu, &set);
    }
    require(::sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity", text);
  }
  if (fds[ChildFds::kLifeLine]) die_with(fds[ChildFds::kLifeLine].get());
}

}  // namespace launch

}  // namespace multiprocessing
