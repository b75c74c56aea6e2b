// SPDX-License-Identifier: BSL-1.0
// The owner's side of a pool: the segment, the nursery, and who may use them when.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/launch/start_method.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/process.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/wait_word.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/callbacks.hpp>
#include <multiprocessing/work/code_table.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/job_book.hpp>
#include <multiprocessing/work/restart_limit.hpp>
#include <multiprocessing/work/staff.hpp>
#include <multiprocessing/work/task_book.hpp>
#include <multiprocessing/work/task_entry.hpp>
#include <multiprocessing/work/trace_log.hpp>
#include <multiprocessing/work/worker_setup.hpp>

namespace multiprocessing::launch {
struct NurseryHandle;
}

namespace multiprocessing::work {

class TraceFile;  // see work/trace_file.hpp

/// Threads: safe. Fork: good for the process that made it only.
class Crew {
 public:
  struct Options {
    int workers;
    StartMethod method = StartMethod::fork;  // of the nursery, which forks the workers
    SigintPolicy sigint = SigintPolicy::ignore;
    Initializer initializer = {};
    std::uint64_t max_tasks_per_child = UINT64_MAX;
    std::uint64_t max_memory_per_task = UINT64_MAX;
    std::uint32_t quarantine_after = UINT32_MAX;
    RestartLimit restart_limit = {};
    WorkerSetup setup = {};
  };

  /// Blocks: until all workers have been forked. Throws: std::system_error, std::bad_alloc; as
  /// start_afresh().
  explicit Crew(Options const& options);
  /// One whose tasks are done elsewhere, by `workers` workers of the staff that `hire(*this)`
  /// makes. It has no jobs. Throws: std::system_error, std::bad_alloc; what `hire` does.
  template <class Hire>
  Crew(int workers, Hire const& hire) : Crew(Unstaffed()) {
    board_->idle.set_size(0);  // nobody sleeps at the board
    board_->wanted_workers = static_cast<std::uint32_t>(workers);
    staff_ = hire(*this);
    is_staff_elsewhere_ = staff_->is_elsewhere();
  }
  ~Crew();
  Crew(Crew const&) = delete;
  Crew& operator=(Crew const&) = delete;

  /// How many there are to be: resize() says so.
  int workers() const noexcept { return static_cast<int>(board_->wanted_workers.load()); }
  shm::Segment const& segment() const noexcept { return segment_; }
  Board& board() const noexcept { return *board_; }
  bool is_owner() const noexcept { return !fork_detector_.forked(); }

  std::vector<int> worker_pids(char const* call) const;

  /// From now on so many. Throws: as require_open(). REQUIRES: 1 to Board::kMaxWorkers.
  void resize(char const* call, int workers);

  bool is_open() const noexcept { return !is_closed() && is_running(); }
  /// close() or terminate() has been called.
  bool is_closed() const noexcept { return is_closed_.load(); }

  /// Keeps the pool going for a call that has begun: closed meanwhile, it is so to all others, and
  /// its workers leave when the last of these has gone. terminate() does not wait for it.
  /// Threads: safe.
  class KeptOpen {
   public:
    /// Throws: as require_open().
    KeptOpen(Crew& crew, char const* call);
    KeptOpen(KeptOpen const&) = delete;
    KeptOpen& operator=(KeptOpen const&) = delete;
    ~KeptOpen();
    char const* name() const noexcept { return call_; }

   private:
    Crew& crew_;
    char const* call_;
  };

  /// Throws: std::bad_alloc.
  JobMemory take(std::uint64_t payload_bytes, std::uint64_t chunks) {
    std::lock_guard const guard(mutex_);
    return jobs_.take(payload_bytes, chunks);
  }
  /// Of a job that was not published.
  void give_back(JobMemory const& memory) noexcept {
    std::lock_guard const guard(mutex_);
    jobs_.give_back(memory);
  }

  /// Puts the job, whose JobRecord begins the payload, up for the workers to claim.
  /// Blocks: while Board::kSlots other jobs run. Throws: as require_open().
  JobSlot& publish(char const* call, JobMemory const& memory, std::uint32_t chunks) {
    auto const generation = jobs_.make_words(memory, chunks);
    std::unique_lock lock(mutex_);
    await_slot(lock, [this] { return is_open(); });
    require_open(call);
    return put_up(lock, memory, chunks, generation);
  }

  enum class WhenFull { wait, return_null };
  /// The same for a call that keeps the pool open, also when it has been closed. Null, if that is
  /// asked for: Board::kSlots other jobs run. Throws: CancelledError, BrokenProcessPool.
  JobSlot* publish_more(KeptOpen const& call, JobMemory const& memory, std::uint32_t chunks,
                        WhenFull when_full) {
    auto const generation = jobs_.make_words(memory, chunks);
    std::unique_lock lock(mutex_);
    if (when_full == WhenFull::wait) await_slot(lock, [this] { return is_running(); });
    require_running(call.name());
    return jobs_.has_free_slot() ? &put_up(lock, memory, chunks, generation) : nullptr;
  }

  /// REQUIRES: every chunk is settled.
  void retire(JobSlot& slot, JobMemory const& memory) noexcept {
    {
      std::lock_guard const guard(mutex_);
      jobs_.retire(slot, memory);
    }
    slot_news_.add(1, 1);
  }

  /// Puts a task up for the workers to claim. Throws: std::bad_alloc when there are too many; as
  /// require_open().
  TaskId submit(char const* call, TaskDraft& draft) {
    TaskId id;
    {
      std::lock_guard const guard(mutex_);  // so that it is not closed meanwhile
      require_open(call);
      id = tasks_.publish(draft);
    }
    if (is_staff_elsewhere_) {
      staff_->wake();
    } else {
      board_->idle.wake_one(board_->tasks.searcher);
    }
    return id;
  }
  /// Nobody asks for them any more.
  void release(std::span<TaskId const> ids) noexcept {
    if (ids.empty() || !is_owner()) return;
    std::lock_guard const guard(mutex_);
    for (auto const id : ids) tasks_.release(id);
  }
  /// Gives up a task that a worker runs, and has that killed. Whether it is given up.
  bool cancel_claimed(TaskId id) noexcept {
    if (!is_owner()) return false;
    auto& task = entry(id);
    auto const word = task.read();
    if (word.generation != id.generation || !word.is_held()) return false;
    if (!board_->tasks.settle(task, word, ChunkWord::Phase::Dropped)) return false;
    staff_->take_away(id);
    return true;
  }
  /// Asks the task to stop, in this run and any other.
  void request_stop(TaskId id) noexcept {
    entry(id).flags |= TaskEntry::kStop;
    staff_->ask_to_stop(id);
  }
  TaskEntry& entry(TaskId id) const noexcept { return board_->tasks.entry(segment_, id.index); }

  /// The number by which workers know the function. Throws: as CodeWriter::number_of().
  template <class Function>
  CodeNumber number_of(Function* function, CodeWriter::Name* called = nullptr) {
    // Most calls name the function of the thread's last one.
    struct Last {
      std::uint32_t crew;
      CodeNumber number;
      std::uintptr_t address;
    };
    static thread_local constinit Last last{};
    auto const address = reinterpret_cast<std::uintptr_t>(function);
    if (last.crew == name_ && last.address == address) return last.number;
    std::lock_guard const guard(mutex_);
    auto const numbered = tasks_.codes().numbered(function, called);
    if (numbered.is_permanent) last = {name_, numbered.number, address};
    return numbered.number;
  }

  /// Throws: PicklingError where the staff is elsewhere and the message takes shared objects along.
  void require_portable(char const* call, wire::Parcel const& parcel) const;

  /// For a staff elsewhere: how many functions have numbers, all of tasks on the board among them,
  /// and for who does its tasks: makes the next number that of `place`.
  CodeNumber code_count() noexcept { return tasks_.codes().count(); }
  void add_code(wire::CodePlace const& place) {
    std::lock_guard const guard(mutex_);
    tasks_.codes().copy(place);
  }

  /// Whether its processes have ended, or are about to: nothing happens any more.
  bool is_over() const noexcept { return board_->nursery_life.holder_is_dead(); }

  Callbacks& callbacks() noexcept { return callbacks_; }

  /// Guards the descriptors of all its tasks: they are asked for once, and soon made.
  std::mutex& descriptor_mutex() noexcept { return descriptor_mutex_; }

  /// Throws: std::logic_error in another process, std::invalid_argument once closed,
  /// BrokenProcessPool.
  void require_open(char const* call) {
    require_owner(call);
    if (is_closed()) {
      throw std::invalid_argument(std::string(call) + ": the pool is closed");
    }
    if (board_->nursery_life.holder_is_dead()) throw_broken(call);
  }

  /// The nursery is dead: whoever waits for a slot must not wait any longer.
  void pass_on_death();

  [[noreturn]] void throw_broken(char const* call) const;

  /// REQUIRES: is_over().
  std::string why_broken() const;

  /// From now on nothing new is begun; workers leave when all is done that has been. Again:
  /// nothing.
  void close(char const* call);

  /// Gives up what no worker has claimed.
  void cancel_free(char const* call);
  /// Somebody may wait for the end of a closed pool, and that for the time of a task that is not to
  /// be run again now.
  void tell_of_cancelled() noexcept;

  /// From now on what happens is noted down, and written to the file when the pool has ended.
  /// Throws: as require_open(); std::system_error when the file can not be written;
  /// std::invalid_argument when it is traced already; std::bad_alloc.
  void trace(char const* call, std::string const& path);

  enum class Ending { ask, kill };

  /// Blocks: until every process of the pool has ended.
  void terminate(char const* call, Ending ending = Ending::ask);
  /// The same without waiting, for who calls join_until() again and again.
  void begin_to_terminate(char const* call, Ending ending = Ending::ask);

  /// Blocks: until the work is done and every process of the pool has ended, and then until the
  /// callbacks have returned; or until the deadline passes before the former. False: it has.
  bool join_until(char const* call, base::Deadline deadline);
  void join(char const* call) { join_until(call, base::Deadline::never()); }

  void require_owner(char const* call) const {
    if (is_owner()) return;
    throw std::logic_error(std::string(call) + ": the pool belongs to process " +
                           std::to_string(owner_) + "; make one in the process that uses it");
  }

 private:
  // The nursery takes a second at most to terminate, unless somebody stopped it. Without it the
  // kernel ends the workers.
  static constexpr std::chrono::seconds kNurseryGrace{3};
  static constexpr std::size_t kTraceEvents = std::size_t{1} << 18;  // 10 MiB

  // Addresses are free, pages come as they are used: room for any job a machine can hold.
  static constexpr std::uint64_t kReservation = std::uint64_t{1} << 43;
  // Below, a part would be too small for the board.
  static constexpr std::uint64_t kSmallestReservation = std::uint64_t{64} << 20;
  // The reservation in 128ths: board and words | tasks | payload | a log for each slot.
  static constexpr std::uint64_t kParts = 128;
  static constexpr std::uint64_t kWordsBegin = 0;
  static constexpr std::uint64_t kTasksBegin = 2;
  static constexpr std::uint64_t kPayloadBegin = 16;
  static constexpr std::uint64_t kLogsBegin = kParts - Board::kSlots;

  static constexpr shm::Offset kDeathLog =
      shm::round_up(Board::kPlace + sizeof(Board), base::kCacheLine);
  static constexpr shm::Offset kBoardEnd = kDeathLog + DeathLog::size();

  struct Unstaffed {};
  explicit Crew(Unstaffed);

  static Board* make_board(shm::Segment const& segment);

  /// False: the deadline has passed before its end.
  bool wait_for_staff(base::Deadline deadline);

  /// REQUIRES: every process of the pool has ended.
  void write_trace();

  void set_wanted(int workers) noexcept;

  launch::NurseryHandle start_nursery(Options const& options, os::Fd const& ready);

  /// For a nursery that is no copy of this process.
  void write_initializer(Initializer const& initializer);

  shm::Range part(std::uint64_t begin, std::uint64_t end) const noexcept;

  bool is_running() const noexcept {
    return board_->phase.load() == Board::Phase::Open && !board_->nursery_life.holder_is_dead();
  }
  void require_running(char const* call) const;

  /// REQUIRES: mutex_.
  void begin_closing() noexcept;
  void tell_of_closing() noexcept;

  /// Blocks: while no slot is free, as long as `is_worth_it()`. `lock`: of mutex_, held before and
  /// after.
  template <class IsWorthIt>
  void await_slot(std::unique_lock<std::mutex>& lock, IsWorthIt const& is_worth_it) {
    while (!jobs_.has_free_slot() && is_worth_it()) {
      auto const seen = slot_news_.value();
      lock.unlock();
      static_cast<void>(slot_news_.await([=](std::uint32_t value) { return value != seen; },
                                         base::Deadline::never()));
      lock.lock();
    }
    // A slot that became free woke this thread only; when it does not take it, the next must know.
    if (!is_worth_it()) slot_news_.add(1);
  }
  /// REQUIRES: a slot is free. `lock`: of mutex_, not held afterwards.
  JobSlot& put_up(std::unique_lock<std::mutex>& lock, JobMemory const& memory, std::uint32_t chunks,
                  std::uint32_t generation) {
    auto& slot = jobs_.put_up(memory, chunks, generation);
    lock.unlock();
    board_->idle.wake_all();
    return slot;
  }

  static std::uint32_t new_name() noexcept;

  // constant after construction
  std::uint32_t const name_ = new_name();  // no other of this process has had it
  pid_t const owner_ = os::this_pid();
  os::ForkDetector const fork_detector_;
  shm::Segment const segment_;
  Board* const board_;

  std::atomic<bool> is_closed_{false};  // changes under mutex_, as the board's phase
  std::mutex descriptor_mutex_;
  std::mutex mutex_;
  // Changes when a slot becomes free, and when nobody gets one any more.
  sync::WaitWord slot_news_;
  // guarded by mutex_
  std::uint32_t most_workers_ = 0;                     // that there have ever been
  std::size_t kept_open_by_ = 0;                       // calls
  base::Deadline patience_ = base::Deadline::never();  // then a staff that terminates is killed
  JobBook jobs_;                                       // but for make_words()
  TaskBook tasks_;
  struct Trace {
    TraceLog* log = nullptr;
    std::int64_t begin = 0;
    std::unique_ptr<TraceFile> file;  // null: none is to be written
  } trace_;
  Callbacks callbacks_;  // safe by itself

  // constant after construction
  std::unique_ptr<Staff> staff_;  // goes first: it uses the rest
  bool is_staff_elsewhere_ = false;
};

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/crew.ipp>
#endif
