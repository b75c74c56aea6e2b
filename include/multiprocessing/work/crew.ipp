// SPDX-License-Identifier: BSL-1.0
// The bodies of crew.hpp.
#pragma once

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/launch/log.hpp>
#include <multiprocessing/launch/nursery.hpp>
#include <multiprocessing/launch/sigint_policy.hpp>
#include <multiprocessing/os/clock.hpp>
#include <multiprocessing/os/fork_detector.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/wait_word.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/parcel.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/callbacks.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/initializer.hpp>
#include <multiprocessing/work/job_book.hpp>
#include <multiprocessing/work/staff.hpp>
#include <multiprocessing/work/supervisor.hpp>
#include <multiprocessing/work/task_book.hpp>
#include <multiprocessing/work/trace_file.hpp>
#include <multiprocessing/work/trace_log.hpp>

namespace multiprocessing::work {

/// The nursery of a pool.
class NurseryStaff final : public Staff {
 public:
  explicit NurseryStaff(launch::NurseryHandle nursery) noexcept : nursery_(std::move(nursery)) {}

  bool is_elsewhere() const noexcept override { return false; }
  void wake() noexcept override { nursery_.wake(); }
  void take_away(TaskId) noexcept override { nursery_.wake(); }  // which finds it, and kills
  void ask_to_stop(TaskId) noexcept override {}                  // the task sees it

  bool wait_until(base::Deadline deadline) override {
    return nursery_.process->wait_until(deadline).has_value();
  }
  void kill() noexcept override { nursery_.process->send(SIGKILL); }
  std::string how_it_ended() override {
    return "its nursery process " +
           nursery_.process->wait_until(base::Deadline::never())->to_string();
  }

 private:
  launch::NurseryHandle nursery_;
};

MULTIPROCESSING_INLINE Crew::Crew(Unstaffed)
    : segment_("multiprocessing-pool", kReservation, kSmallestReservation),
      board_(make_board(segment_)),
      jobs_(segment_, *board_, part(kWordsBegin, kTasksBegin), part(kPayloadBegin, kLogsBegin),
            part(kLogsBegin, kParts)),
      tasks_(segment_, *board_, part(kTasksBegin, kPayloadBegin)),
      callbacks_(*board_) {}

MULTIPROCESSING_INLINE Crew::~Crew() = default;

MULTIPROCESSING_INLINE Crew::Crew(Options const& options) : Crew(Unstaffed()) {
  set_wanted(options.workers);
  board_->sigint = launch::as_parent_allows(options.sigint);
  board_->max_tasks_per_child = options.max_tasks_per_child;
  board_->max_memory_per_task = options.max_memory_per_task;
  board_->quarantine_after = options.quarantine_after;
  board_->restart_limit = options.restart_limit;
  board_->setup = options.setup;
  os::Fd const ready = os::create_eventfd();
  auto nursery = start_nursery(options, ready);
  auto& process = *nursery.process;
  staff_ = std::make_unique<NurseryStaff>(std::move(nursery));
  base::ScopeGuard end_nursery([&process] {
    process.send(SIGKILL);
    process.wait_until(base::Deadline::never());
  });
  pollfd fds[] = {{ready.get(), POLLIN, 0}, {process.sentinel(), POLLIN, 0}};
  os::poll_until(fds, base::Deadline::never());
  if (fds[0].revents == 0) {
    int const error = board_->start_error.load();
    if (error > 0) os::throw_error(error, "Pool: fork", "worker");
    throw BrokenProcessPool("Pool: its nursery ended while it started");
  }
  end_nursery.dismiss();
}

MULTIPROCESSING_INLINE std::vector<int> Crew::worker_pids(char const* call) const {
  require_owner(call);
  std::vector<int> pids;
  for (std::size_t number = 0; number < board_->idle.size(); ++number) {
    int const pid = board_->worker_pids[number].load();
    if (pid != 0) pids.push_back(pid);
  }
  return pids;
}

MULTIPROCESSING_INLINE void Crew::resize(char const* call, int workers) {
  require_owner(call);  // first, here and below: a child may find the mutex locked for ever
  {
    std::lock_guard const guard(mutex_);
    require_open(call);
    set_wanted(workers);
  }
  board_->idle.wake_everybody();
  staff_->wake();
}

MULTIPROCESSING_INLINE Crew::KeptOpen::KeptOpen(Crew& crew, char const* call)
    : crew_(crew), call_(call) {
  crew.require_owner(call);
  std::lock_guard const guard(crew.mutex_);
  crew.require_open(call);
  ++crew.kept_open_by_;
}

MULTIPROCESSING_INLINE Crew::KeptOpen::~KeptOpen() {
  {
    std::lock_guard const guard(crew_.mutex_);
    --crew_.kept_open_by_;
    if (!crew_.is_closed()) return;
    crew_.begin_closing();
  }
  crew_.tell_of_closing();
}

MULTIPROCESSING_INLINE void Crew::require_portable(char const* call,
                                                   wire::Parcel const& parcel) const {
  if (!is_staff_elsewhere_ || parcel.empty()) return;
  throw PicklingError(std::string(call) +
                      ": shared objects (locks, queues, values ..) can not be sent to another "
                      "machine; send what they hold");
}

MULTIPROCESSING_INLINE void Crew::pass_on_death() {
  { std::lock_guard const guard(mutex_); }  // whoever has looked already, sleeps
  slot_news_.add(1);
}

MULTIPROCESSING_INLINE void Crew::throw_broken(char const* call) const {
  throw BrokenProcessPool(std::string(call) + ": the pool is broken, " + why_broken());
}

MULTIPROCESSING_INLINE std::string Crew::why_broken() const {
  int const error = board_->start_error.load();
  if (error > 0) {
    return "no worker could be started: " + std::generic_category().message(error);
  }
  if (error < 0) {
    auto const text = board_->failure.text();
    return text.empty() ? "its initializer has failed" : text;
  }
  return staff_->how_it_ended();  // its life lock went first
}

MULTIPROCESSING_INLINE void Crew::close(char const* call) {
  require_owner(call);
  {
    std::lock_guard const guard(mutex_);
    is_closed_ = true;
    begin_closing();
  }
  tell_of_closing();
}

MULTIPROCESSING_INLINE void Crew::cancel_free(char const* call) {
  require_owner(call);
  {
    std::lock_guard const guard(mutex_);
    board_->tasks.drop_free(segment_);
  }
  tell_of_cancelled();
}

MULTIPROCESSING_INLINE void Crew::tell_of_cancelled() noexcept {
  if (board_->phase.load() != Board::Phase::Open) staff_->wake();
}

MULTIPROCESSING_INLINE void Crew::trace(char const* call, std::string const& path) {
  require_owner(call);
  std::lock_guard const guard(mutex_);
  require_open(call);
  if (trace_.file != nullptr) {
    throw std::invalid_argument(std::string(call) + ": the pool is traced already");
  }
  auto file = std::make_unique<TraceFile>(path);
  auto const room = jobs_.allocate_for_good(TraceLog::bytes_for(kTraceEvents));
  trace_.log = new (segment_.data(room.offset)) TraceLog{.capacity = kTraceEvents};
  // Dirty memory from before would look like events that are there.
  std::memset(static_cast<void*>(trace_.log->events()), 0, kTraceEvents * sizeof(TraceEvent));
  trace_.begin = os::monotonic_time();
  trace_.file = std::move(file);
  board_->trace.store(room.offset, std::memory_order_release);  // pairs with begin_event()
}

MULTIPROCESSING_INLINE void Crew::terminate(char const* call, Ending ending) {
  begin_to_terminate(call, ending);
  join(call);
}

MULTIPROCESSING_INLINE void Crew::begin_to_terminate(char const* call, Ending ending) {
  require_owner(call);
  {
    std::lock_guard const guard(mutex_);
    is_closed_ = true;
    board_->is_killing = ending == Ending::kill;
    board_->phase = Board::Phase::Terminating;
    patience_ = base::Deadline::after(kNurseryGrace);
  }
  slot_news_.add(1);
  staff_->wake();
}

MULTIPROCESSING_INLINE bool Crew::join_until(char const* call, base::Deadline deadline) {
  require_owner(call);
  if (!is_closed()) {
    throw std::invalid_argument(std::string(call) +
                                ": the pool is still running; close() or terminate() it first");
  }
  if (!wait_for_staff(deadline)) return false;
  write_trace();
  callbacks_.finish();
  return true;
}

MULTIPROCESSING_INLINE Board* Crew::make_board(shm::Segment const& segment) {
  segment.commit({Board::kPlace, sizeof(Board)});
  auto* const board = new (segment.data(Board::kPlace)) Board;
  board->deaths.place = kDeathLog;
  return board;
}

MULTIPROCESSING_INLINE bool Crew::wait_for_staff(base::Deadline deadline) {
  auto const patience = [&] {
    std::lock_guard const guard(mutex_);
    return patience_;
  }();
  if (staff_->wait_until(earlier(deadline, patience))) return true;
  if (patience.passed()) staff_->kill();
  return staff_->wait_until(deadline);
}

MULTIPROCESSING_INLINE void Crew::write_trace() {
  std::lock_guard const guard(mutex_);
  auto const file = std::move(trace_.file);
  if (file == nullptr) return;
  try {
    file->write(*trace_.log, trace_.begin,
                [this](CodeNumber number) { return tasks_.codes().name_of(number); });
  } catch (std::exception const& error) {
    launch::log(LogLevel::warning, "a pool's trace was not written: ", error.what());
  }
}

MULTIPROCESSING_INLINE void Crew::set_wanted(int workers) noexcept {
  auto const count = static_cast<std::uint32_t>(workers);
  most_workers_ = std::max(most_workers_, count);
  board_->idle.set_size(most_workers_);
  board_->wanted_workers = count;
}

MULTIPROCESSING_INLINE launch::NurseryHandle Crew::start_nursery(Options const& options,
                                                                 os::Fd const& ready) {
  auto const method = options.method;
  auto who = launch::new_child_identity();
  who->name = "PoolNursery-" + who->number;
  auto const workers = static_cast<std::size_t>(options.workers);
  if (method != StartMethod::fork) {
    write_initializer(options.initializer);
    return launch::start_nursery(method, who, workers, &supervise,
                                 {segment_.fd().get(), ready.get()});
  }
  auto const modules = os::ModuleTable::now();
  return launch::fork_nursery(std::move(who), workers, [&](launch::Nursery& nursery) {
    return Supervisor(nursery, segment_, *board_, modules, options.initializer).run(ready);
  });
}

MULTIPROCESSING_INLINE void Crew::write_initializer(Initializer const& initializer) {
  if (!initializer) return;
  wire::Bytes bytes;
  initializer.save(bytes);
  auto const room = jobs_.allocate_for_good(bytes.size());
  std::memcpy(segment_.data(room.offset), bytes.data(), bytes.size());
  board_->initializer = {room.offset, bytes.size()};
}

MULTIPROCESSING_INLINE shm::Range Crew::part(std::uint64_t begin,
                                             std::uint64_t end) const noexcept {
  std::uint64_t const unit = segment_.size() / kParts;
  std::uint64_t const from = begin == 0 ? kBoardEnd : begin * unit;
  return {from, end * unit - from};
}

MULTIPROCESSING_INLINE void Crew::require_running(char const* call) const {
  if (board_->phase.load() != Board::Phase::Open) {
    throw CancelledError(std::string(call) + ": the pool was terminated while it ran");
  }
  if (board_->nursery_life.holder_is_dead()) throw_broken(call);
}

MULTIPROCESSING_INLINE void Crew::begin_closing() noexcept {
  if (kept_open_by_ != 0 || board_->phase.load() != Board::Phase::Open) return;
  board_->phase = Board::Phase::Closing;
}

MULTIPROCESSING_INLINE void Crew::tell_of_closing() noexcept {
  slot_news_.add(1);  // those who wait for a slot wait in vain
  board_->idle.wake_everybody();
  staff_->wake();
}

MULTIPROCESSING_INLINE std::uint32_t Crew::new_name() noexcept {
  static constinit std::atomic<std::uint32_t> last{0};
  return last.fetch_add(1) + 1;
}

}  // namespace multiprocessing::work
