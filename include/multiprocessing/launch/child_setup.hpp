// SPDX-License-Identifier: BSL-1.0
// What is different in a child from its parent, before it does anything.
#pragma once

#include <sys/resource.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/channel/inheritance.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>

namespace multiprocessing {

/// A limit of setrlimit(2): RLIMIT_AS, RLIMIT_CPU .. Python: resource.setrlimit
struct ResourceLimit {
  /// As setrlimit(2) takes them.
  int resource = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = soft;
};

/// Where a standard stream of a child leads. Python: the arguments of subprocess.Popen
class Stream {
 public:
  /// Which of those below; Default: nothing was said.
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

  /// What it was made as, and the file's name.
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
  SigintPolicy sigint = SigintPolicy::terminate;

  /// Nothing to be done by apply() in a forked child.
  bool is_empty() const noexcept;
};

/// The descriptors that go with it: the standard streams that are not the parent's, and the life
/// line. Empty ones count as not there. Children that are forked meanwhile by other threads give
/// them up: ends of pipes that they kept would keep their brothers from seeing an end of file.
class ChildFds {
 public:
  static constexpr std::size_t kCount = 4;
  static constexpr std::size_t kLifeLine = 3;

  /// The parent's ends of the streams' pipes.
  struct Pipes final : channel::Heirloom {
    /// While somebody still has it: of what nobody has, a child knows no more that it should give
    /// it up.
    void close() noexcept;
    void give_up() noexcept override;
    std::array<os::Fd, 3> ends;
  };

  /// Opens what the streams say. Throws: std::system_error.
  ChildFds(std::array<Stream, 3> const& streams, bool dies_with_parent);
  /// As present() and numbers() have told, in another process.
  ChildFds(std::uint32_t present, std::vector<os::Fd> fds);

  ChildFds(ChildFds const&) = delete;
  ChildFds& operator=(ChildFds const&) = delete;
  /// As Pipes::close(); the parent's ends stay.
  ~ChildFds();

  /// A bit for each that is there.
  std::uint32_t present() const noexcept;
  std::vector<int> numbers() const;
  os::Fd const& operator[](std::size_t i) const noexcept { return held_->fds[i]; }

  /// In the forked child itself, which has its streams by then.
  void close() noexcept;

  std::shared_ptr<Pipes> const& pipes() const noexcept { return pipes_; }

 private:
  struct Held final : channel::Heirloom {
    void give_up() noexcept override;
    std::array<os::Fd, kCount> fds;
  };

  void open(Stream const& stream, std::size_t number);

  std::shared_ptr<Held> held_ = std::make_shared<Held>();
  std::shared_ptr<Pipes> pipes_ = std::make_shared<Pipes>();
};

/// In the child. Throws: std::system_error, which names the call and the value.
void apply(ChildSetup const& setup, ChildFds const& fds);

}  // namespace launch

}  // namespace multiprocessing

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/child_setup.ipp>
#endif
