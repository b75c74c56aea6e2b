// SPDX-License-Identifier: BSL-1.0
// The peer "openmpi" of channel.cpp, in its cases: those for as many processes as mpirun starts.
#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string>

#include <CLI/CLI.hpp>

#include "channel/cases.hpp"
#include "channel/peer.hpp"
#include "channel/plan.hpp"
#include "channel/result.hpp"

namespace bench {
namespace {

/// Producers come first among the ranks. A producer sends to all consumers in turn.
class MpiPeer {
 public:
  static bool carries(Plan const&) { return true; }
  explicit MpiPeer(Plan const& plan) : plan_(plan) {}

  class End : public Buffered {
   public:
    End(Plan const& plan, Role role)
        : first_(role.is_producer ? plan.producers : 0),
          others_(role.is_producer ? plan.consumers : plan.producers) {}

    void send(Message const& message) {
      MPI_Send(message.data(), static_cast<int>(message.size()), MPI_BYTE,
               static_cast<int>(first_ + next_), kTag, MPI_COMM_WORLD);
      if (++next_ == others_) next_ = 0;
    }
    void receive(Message& message) {
      int const sender = others_ == 1 ? static_cast<int>(first_) : MPI_ANY_SOURCE;
      MPI_Status status;
      MPI_Recv(message.data(), static_cast<int>(message.size()), MPI_BYTE, sender, kTag,
               MPI_COMM_WORLD, &status);
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      require_whole(static_cast<std::size_t>(size), message.size());
    }

   private:
    static constexpr int kTag = 1;
    unsigned first_;
    unsigned others_;
    unsigned next_ = 0;
  };

  End open(Role role) const { return End(plan_, role); }

 private:
  Plan plan_;
};

/// For rank 0: the result.
Result measure(Plan const& plan, unsigned rank) {
  MPI_Win window;
  void* base = nullptr;
  MPI_Win_allocate_shared(rank == 0 ? sizeof(Control) + alignof(Control) : 0, 1, MPI_INFO_NULL,
                          MPI_COMM_WORLD, &base, &window);
  MPI_Aint size = 0;
  int unit = 0;
  MPI_Win_shared_query(window, 0, &size, &unit, &base);
  // Where it is mapped may differ between processes, but by whole pages.
  auto const address = reinterpret_cast<std::uintptr_t>(base);
  auto const aligned = (address + alignof(Control) - 1) / alignof(Control) * alignof(Control);
  auto* const control = reinterpret_cast<Control*>(aligned);
  if (rank == 0) new (control) Control(plan.members());
  MPI_Barrier(MPI_COMM_WORLD);
  take_part(MpiPeer(plan), plan, *control, rank);
  MPI_Barrier(MPI_COMM_WORLD);
  auto const result = control->result;
  MPI_Win_free(&window);
  return result;
}

void describe() {
  char version[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(version, &length);
  std::string const text(version);
  std::cout << R"({"about": "openmpi", "value": ")" << text.substr(0, text.find(',')) << "\"}\n"
            << std::flush;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  bench::Options options;
  bool is_described = false;
  try {
    CLI::App app("Messages between processes, by MPI");
    options.add_to(app);
    app.add_flag("--about", is_described, "Tell of versions first");
    app.parse(argc, argv);
    if (is_described && rank == 0) bench::describe();
    for (auto const& plan : bench::plans(options)) {
      if (plan.members() != static_cast<unsigned>(ranks) || !options.wants_peer("openmpi"))
        continue;
      auto const result = bench::measure(plan, static_cast<unsigned>(rank));
      if (rank == 0) std::cout << result.json("openmpi", plan) << std::endl;
    }
  } catch (std::exception const& error) {
    std::cerr << "openmpi, rank " << rank << ": " << error.what() << '\n';
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  }
  MPI_Finalize();
}
