// SPDX-License-Identifier: BSL-1.0
// The ranks of a job: who they are, on which hosts, and whether they run the same build.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/mpi/interface.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/processors.hpp>

namespace multiprocessing::mpi {

/// What a rank tells the first one at its start. The format is the same in all builds.
struct Hello {
  std::uint64_t build = 0;
  std::array<char, 64> host{};
  std::int32_t pid = 0;
  std::int32_t processors = 1;         ///< that it may use
  std::uint64_t which_processors = 0;  ///< a hash: who shares them says the same

  static Hello of_this_process() {
    Hello hello;
    hello.build = build_of_this_program();
    ::gethostname(hello.host.data(), hello.host.size() - 1);
    hello.pid = ::getpid();
    hello.processors = os::usable_processors();
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    hello.which_processors =
        os::module_detail::fnv1a(&set, sizeof set, os::module_detail::kFnvBasis);
    return hello;
  }

  std::string host_name() const { return host.data(); }

  static std::uint64_t build_of_this_program() {
    std::uint64_t build = 0;
    os::ModuleTable::now().any([&](os::Module const& module) {
      if (module.path.empty() && build == 0) build = module.identity;
      return false;
    });
    return build;
  }
};

/// "rank 2 on node3"
inline std::string name_of_rank(int rank, std::string const& host) {
  return "rank " + std::to_string(rank) + " on " + host;
}

/// How many workers each rank should have by default: its share of the processors that it may use.
/// The first rank, which does not serve, has none. `all`: by rank.
inline std::vector<std::uint32_t> slots_of(std::vector<Hello> const& all) {
  std::vector<std::uint32_t> slots;
  for (auto const& one : all) {
    auto const sharers = std::count_if(all.begin() + 1, all.end(), [&](Hello const& other) {
      return other.host == one.host && other.which_processors == one.which_processors;
    });
    auto const share = one.processors / std::max<std::ptrdiff_t>(sharers, 1);
    slots.push_back(static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(share, 1)));
  }
  slots.front() = 0;
  return slots;
}

/// Why the ranks can not work together; empty: they can.
inline std::string why_not(std::vector<Hello> const& all) {
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank].build == all.front().build) continue;
    return name_of_rank(static_cast<int>(rank), all[rank].host_name()) +
           " runs another build of the program than " + name_of_rank(0, all.front().host_name()) +
           ": functions are known by their place in the program, so all hosts need the same file";
  }
  return {};
}

/// Threads: the one that made it. The end of it is the end of MPI in this process.
class World {
 public:
  /// Blocks: until all ranks have come. `spawn`: so many more are to be started, by whoever was not
  /// started so. Throws: Error.
  explicit World(int spawn) {
    int is_there = 0;
    MPI_Initialized(&is_there);
    if (is_there != 0) {
      throw Error(
          "MPI is initialized already; run() does that, and lets one thread "
          "alone use it");
    }
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm parent = MPI_COMM_NULL;
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL) {
      family_ = parent;
      MPI_Intercomm_merge(family_, 1, &comm_);
    } else if (spawn > 0) {
      spawn_more(spawn);
    }
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    meet();
  }
  World(World const&) = delete;
  World& operator=(World const&) = delete;
  ~World() {
    if (comm_ != MPI_COMM_WORLD) MPI_Comm_free(&comm_);
    if (family_ != MPI_COMM_NULL) MPI_Comm_disconnect(&family_);
    MPI_Finalize();
  }

  MPI_Comm comm() const noexcept { return comm_; }
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  /// By rank.
  std::vector<Hello> const& ranks() const noexcept { return ranks_; }
  /// "rank 2 on node3"
  std::string name() const {
    return name_of_rank(rank_, ranks_[static_cast<std::size_t>(rank_)].host_name());
  }

 private:
  void spawn_more(int count) {
    std::array<char, 4096> path{};
    if (::readlink("/proc/self/exe", path.data(), path.size() - 1) < 0) {
      throw Error("the program's own file is not known, so it can not be spawned");
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    int const result = MPI_Comm_spawn(path.data(), MPI_ARGV_NULL, count, MPI_INFO_NULL, 0,
                                      MPI_COMM_WORLD, &family_, MPI_ERRCODES_IGNORE);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
    if (result != MPI_SUCCESS) {
      std::array<char, MPI_MAX_ERROR_STRING> text{};
      int length = 0;
      MPI_Error_string(result, text.data(), &length);
      family_ = MPI_COMM_NULL;
      MPI_Finalize();
      throw Error("no more ranks can be started here (MPI_Comm_spawn: " + std::string(text.data()) +
                  "); have all started by the launcher: mpirun -n " + std::to_string(count + 1));
    }
    MPI_Intercomm_merge(family_, 0, &comm_);
  }

  void meet() {
    auto const mine = Hello::of_this_process();
    ranks_.resize(static_cast<std::size_t>(size_));
    MPI_Allgather(&mine, sizeof mine, MPI_BYTE, ranks_.data(), sizeof mine, MPI_BYTE, comm_);
  }

  MPI_Comm comm_ = MPI_COMM_WORLD;
  MPI_Comm family_ = MPI_COMM_NULL;  // with those who were spawned, or who have spawned
  int rank_ = 0;
  int size_ = 1;
  std::vector<Hello> ranks_;
};

}  // namespace multiprocessing::mpi
