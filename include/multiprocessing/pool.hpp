// SPDX-License-Identifier: BSL-1.0
// A pool of worker processes that share memory with their owner. How it works: work/board.hpp.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>  // IWYU pragma: export
#include <multiprocessing/launch/start_method.hpp>   // IWYU pragma: export
#include <multiprocessing/os/processors.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/map.hpp>

namespace multiprocessing {

/// Python: the arguments of multiprocessing.pool.Pool.
struct PoolOptions {
  /// How many workers; by default one per processor that this process may use.
  std::optional<int> processes = std::nullopt;
  /// By fork, workers are copies of this process; by spawn, of another run of the program;
  /// by forkserver, of the server, and have what that has loaded. Default: what set_start_method()
  /// says.
  std::optional<StartMethod> start_method = std::nullopt;
  /// What Ctrl-C does to workers. One that it ends costs the call whose item it ran a WorkerDied.
  SigintPolicy sigint = SigintPolicy::ignore;
};

/// Python: the optional arguments of multiprocessing.pool.Pool.map.
struct MapOptions {
  /// Items a worker takes at a time; by default a quarter of its fair share.
  std::optional<std::int64_t> chunksize = std::nullopt;
};

/// Worker processes that run functions on items.
///
/// Threads: safe, any number may call map at once; construction and destruction are for one.
/// Processes: only the one that made it; anywhere else every call throws std::logic_error.
/// Fork: by that start method, workers are copies of the owner, and see its memory as it was when
/// the pool was made. Peer death: a worker that dies, in whatever way, costs the call whose item it
/// ran a WorkerDied, and is replaced; the pool goes on. When the owner dies, also by SIGKILL, its
/// pool dies with it. No thread is started, no signal handled, nothing named. Idle, nothing runs.
/// Workers ignore SIGINT, see PoolOptions::sigint, and have default handling of all other signals
/// that the owner handles.
/// Python: multiprocessing.pool.Pool; differs: workers are children of a helper process, not of the
/// caller, so they are not among active_children().
class Pool {
 public:
  Pool() : Pool(PoolOptions{}) {}
  /// Blocks: until the workers have been forked.
  /// Throws: std::invalid_argument for less than 1 process, std::system_error when the system gives
  /// no more processes (those that did start are gone then); by other methods than fork also as
  /// Process::start().
  explicit Pool(int processes) : Pool(PoolOptions{.processes = processes}) {}
  explicit Pool(PoolOptions const& options)
      : start_method_(options.start_method ? *options.start_method
                                           : launch::DefaultMethod::instance().get()),
        crew_(std::make_unique<work::Crew>(
            work::Crew::Options{count(options), start_method_, options.sigint})) {}

  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&& other) noexcept {
    if (this != &other) {
      finish();
      start_method_ = other.start_method_;
      crew_ = std::move(other.crew_);
    }
    return *this;
  }
  /// Blocks: until the workers have ended. During stack unwinding they are terminated.
  /// Python: differs, `with Pool()` always terminates.
  ~Pool() { finish(); }

  /// f(item) for every item of `items`, in order: a std::vector of what f returns, nothing if f
  /// returns nothing. Runs f in the workers, on copies of the items.
  /// Blocks: until all chunks are done, also when an item fails: that skips the rest of its chunk.
  /// Throws: what the first failed item (in their order) threw, as itself where its type is of the
  /// standard library, of this one, or registered (register_exception); else RemoteError. Its
  /// causes are nested in it, the last is a RemoteTraceback: see format_exception(). WorkerDied for
  /// the items of a worker that died. CancelledError when another thread terminates the pool.
  /// std::invalid_argument once closed, or for a chunksize below 1; std::length_error for 2^32
  /// chunks; BrokenProcessPool; std::bad_alloc; PicklingError for items that can not be written and
  /// functions in no module; UnpicklingError when a worker lacks the module of a function. What the
  /// range itself throws passes through, and no item has run then. Python:
  /// multiprocessing.pool.Pool.map; differs: Python throws the failure that came first.
  template <class F, std::ranges::input_range Items>
  auto map(F const& f, Items&& items) {
    return map({}, f, std::forward<Items>(items));
  }
  template <class F, std::ranges::input_range Items>
  auto map(MapOptions const& options, F const& f, Items&& items) {
    std::decay_t<F const> const callable = f;  // a function becomes its pointer
    return work::map(crew("Pool.map"), "Pool.map", options.chunksize, callable,
                     std::forward<Items>(items));
  }

  /// No more work from now on; the workers end when what is there is done. Does not wait.
  void close() { crew("Pool.close").close("Pool.close"); }

  /// Ends the workers at once: SIGTERM, then SIGKILL for those that are still there after 0.5 s.
  /// Calls of map in other threads throw CancelledError.
  /// Blocks: until every process of the pool has ended.
  void terminate() { crew("Pool.terminate").terminate("Pool.terminate"); }

  /// Blocks: until every process of the pool has ended.
  /// Throws: std::invalid_argument unless closed or terminated before.
  void join() { crew("Pool.join").join("Pool.join"); }

  StartMethod start_method() const noexcept { return start_method_; }

  /// Process ids of the workers that run now. A pid may be stale by the time it is read.
  std::vector<int> worker_pids() const {
    return crew("Pool.worker_pids").worker_pids("Pool.worker_pids");
  }

 private:
  static int count(PoolOptions const& options) {
    int const processes = options.processes.value_or(os::usable_processors());
    if (processes < 1 || processes > static_cast<int>(work::Board::kMaxWorkers)) {
      throw std::invalid_argument("Pool: processes must be 1 to " +
                                  std::to_string(work::Board::kMaxWorkers) + ", not " +
                                  std::to_string(processes));
    }
    return processes;
  }

  work::Crew& crew(char const* call) const {
    if (crew_ == nullptr)
      throw std::invalid_argument(std::string(call) + ": the pool was moved from");
    return *crew_;
  }

  void finish() noexcept {
    if (crew_ == nullptr || !crew_->is_owner()) return;
    if (std::uncaught_exceptions() > exceptions_when_made_) {
      crew_->terminate("~Pool");
    } else {
      crew_->close("~Pool");
      crew_->join("~Pool");
    }
  }

  StartMethod start_method_;
  std::unique_ptr<work::Crew> crew_;
  int exceptions_when_made_ = std::uncaught_exceptions();
};

}  // namespace multiprocessing
