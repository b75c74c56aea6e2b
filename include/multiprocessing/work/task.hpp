// SPDX-License-Identifier: BSL-1.0
// Tasks as who has submitted them sees them: to wait for, to give up, to take the result of.
#pragma once

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/channel/envelope.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/exception.hpp>
#include <multiprocessing/work/chunk.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/task_board.hpp>
#include <multiprocessing/work/task_context.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

/// Tasks that were submitted together: for one call, one or many of them.
/// Threads: add() before all others; the others safe. Fork: as Crew.
class TaskGroup {
 public:
  using Phase = ChunkWord::Phase;

  /// `call`: the public call that messages name. `items`: how many it was made for; 0: it is one.
  TaskGroup(std::shared_ptr<Crew> crew, char const* call, std::uint64_t items = 0)
      : crew_(std::move(crew)), call_(call) {
    if (items != 0) many().items = items;
  }
  TaskGroup(TaskGroup const&) = delete;
  TaskGroup& operator=(TaskGroup const&) = delete;
  ~TaskGroup() {
    if (!is_lent_) crew_->release(tasks());
  }

  /// Puts one more up. Throws: as Crew::submit().
  void submit(TaskDraft& draft) {
    if (!has_first()) {
      first_ = crew_->submit(call_, draft);
    } else {
      auto& tasks = many().tasks;
      if (tasks.empty()) tasks.push_back(first_);
      tasks.emplace_back();  // before, so that none is forgotten
      try {
        tasks.back() = crew_->submit(call_, draft);
      } catch (...) {
        tasks.pop_back();
        throw;
      }
    }
  }

  /// Lets it look at a task that somebody else has submitted, and will release after it has gone.
  /// REQUIRES: it has no task yet.
  void lend(TaskId id) noexcept {
    first_ = id;
    is_lent_ = true;
  }

  char const* call() const noexcept { return call_; }
  Crew& crew() const noexcept { return *crew_; }
  std::size_t size() const noexcept { return tasks().size(); }

  Phase phase(std::size_t i) const noexcept { return entry(i).read().phase; }
  /// Whether a worker has it.
  bool is_held(std::size_t i) const noexcept { return entry(i).read().is_held(); }

  /// Whether nothing will happen to it any more.
  bool settled(std::size_t i) const noexcept {
    return entry(i).read().settled() || crew_->is_over();
  }
  bool settled() const noexcept {
    for (std::size_t i = size(); i != 0; --i) {
      if (!settled(i - 1)) return false;
    }
    return true;
  }

  /// Blocks: until all are settled; false: the deadline has passed before. Throws: std::logic_error
  /// in another process than the owner's.
  bool wait_until(base::Deadline deadline) const {
    crew_->require_owner(call_);
    for (auto const id : tasks()) {
      auto& task = crew_->entry(id);
      if (task.read().settled()) continue;
      auto& board = crew_->board();
      auto const outcome = board.await(
          task.settled, [&] { return task.read().settled(); }, deadline,
          sync::AdaptiveSpin::of_this_thread(), &board.nursery_life, board.idle.processor());
      if (outcome == sync::Waited::TimedOut) return false;
      // Dead: so it is with the others.
    }
    return true;
  }

  /// Gives up those that no worker has claimed. Whether all of them are given up now.
  bool cancel() noexcept {
    bool all = size() != 0 && crew_->is_owner();
    if (!all) return false;
    for (auto const id : tasks()) {
      auto& task = crew_->entry(id);
      ChunkWord const free{id.generation, 0, Phase::Free};
      all = (crew_->board().tasks.settle(task, free, Phase::Dropped) ||
             task.read().phase == Phase::Dropped) &&
            all;
    }
    crew_->tell_of_cancelled();
    return all;
  }

  /// The same, and those that a worker runs: it is killed.
  bool cancel_running() noexcept {
    if (!crew_->is_owner()) return false;
    // Again, as long as it goes from hand to hand.
    while (!cancel()) {
      bool is_any_left = false;
      for (auto const id : tasks()) {
        is_any_left = !crew_->cancel_claimed(id) && !crew_->entry(id).read().settled();
        if (is_any_left) break;
      }
      if (!is_any_left) return cancel();
    }
    return true;
  }

  /// Gives up those that no worker has claimed, and asks the others to stop.
  void request_stop() noexcept {
    if (!crew_->is_owner() || cancel()) return;
    for (auto const id : tasks()) crew_->request_stop(id);
  }

  /// From now on the board's news tell when one of them is settled.
  void tell_all() noexcept {
    for (auto const id : tasks()) crew_->entry(id).flags |= TaskEntry::kTellAll;
  }

  /// The bytes of its result, and what came along. Throws what went wrong instead: the task's
  /// exception, WorkerDied, CancelledError, BrokenProcessPool. REQUIRES: settled(i).
  std::span<std::byte const> result(std::size_t i) const {
    auto& task = entry(i);
    switch (task.read().phase) {
      case Phase::Done:
        return kept(task);
      case Phase::Failed: {
        if (task.result_bytes == 0) throw std::bad_alloc();
        auto bytes = kept(task);
        auto record = wire::decode<wire::ExceptionRecord>(bytes);
        wire::add_task(record, describe(i));
        wire::throw_recorded(record);
      }
      case Phase::Lost:
        throw_lost(i, task);
      case Phase::Late:
        throw TaskTimeout(describe(i) + ": it was killed when its " +
                              std::to_string(task.timeout_ms) + " ms had passed",
                          task.late_pid, -SIGKILL);
      case Phase::Dropped:
        throw CancelledError(std::string(call_) + ": it was cancelled, or the pool was terminated");
      default:
        crew_->throw_broken(call_);
    }
  }
  wire::Parcel parcel(std::size_t i) const {
    auto const& task = entry(i);
    if (task.result_bytes != TaskEntry::kInBlock) return {};
    return channel::enclosed_in(shm::Arena::block_of(annex(task).result_id.load()));
  }

  // For messages.
  /// How many items each task is for, but the last.
  void set_chunk_size(std::uint64_t size) { many().chunk_size = size; }
  /// The place of the only task's first item among others that nobody has counted.
  void set_first_item(std::uint64_t place) { many().first_item = place; }

  /// Set once what is to be called at its end has been called.
  std::atomic<bool>& is_called_back() noexcept { return is_called_back_; }
  bool has_callback() const noexcept { return has_callback_; }
  void expect_callback() noexcept { has_callback_ = true; }
  /// Whether all is settled, and what is to be called has been.
  bool is_ready() const noexcept { return settled() && (!has_callback_ || is_called_back_.load()); }

  /// See descriptor_of(), which guards it.
  os::Fd& descriptor() noexcept { return descriptor_; }

 private:
  static constexpr std::uint64_t kNone = UINT64_MAX;

  /// What most groups do without: 10^6 of them are to be small.
  struct Many {
    std::vector<TaskId> tasks;  // all, when there is more than one
    std::uint64_t items = 0;
    std::uint64_t chunk_size = 1;
    std::uint64_t first_item = kNone;
  };
  Many& many() {
    if (many_ == nullptr) many_ = std::make_unique<Many>();
    return *many_;
  }

  bool has_first() const noexcept { return first_.generation != 0; }
  std::span<TaskId const> tasks() const noexcept {
    if (many_ != nullptr && !many_->tasks.empty()) return many_->tasks;
    return {&first_, has_first() ? std::size_t{1} : 0};
  }
  TaskEntry& entry(std::size_t i) const noexcept { return crew_->entry(tasks()[i]); }

  /// REQUIRES: it has one, as tasks with retries and those with something in a block have.
  TaskAnnex const& annex(TaskEntry const& task) const noexcept {
    return crew_->board().tasks.annex(crew_->segment(), task);
  }

  std::span<std::byte const> kept(TaskEntry& task) const {
    return kept_result(crew_->segment(), crew_->board().tasks, task);
  }

  /// "Pool.map_async, items 3 to 5 of 10"
  std::string describe(std::size_t i) const {
    std::string text = call_;
    if (many_ == nullptr) return text;
    if (many_->first_item != kNone) {
      return text + ", from item " + std::to_string(many_->first_item) + " on";
    }
    if (many_->items == 0) return text;
    auto const first = i * many_->chunk_size;
    auto const last = std::min(first + many_->chunk_size, many_->items) - 1;
    text += first == last ? ", item " + std::to_string(first)
                          : ", items " + std::to_string(first) + " to " + std::to_string(last);
    return text + " of " + std::to_string(many_->items);
  }

  [[noreturn]] void throw_lost(std::size_t i, TaskEntry const& task) const {
    TaskDeath death;
    std::memcpy(&death, task.room, sizeof death);
    auto const logged = crew_->board().deaths.find(crew_->segment(), death.death);
    auto others = told_of_other_deaths(task, annex(task));
    if (!others.empty()) others.insert(0, "; ");
    throw_worker_died(describe(i),
                      logged.value_or(WorkerDeath{death.pid, death.end_code, death.end_status}),
                      others);
  }

  std::shared_ptr<Crew> crew_;
  char const* call_;
  TaskId first_{};  // generation 0: there is none yet
  std::unique_ptr<Many> many_;
  bool has_callback_ = false;
  bool is_lent_ = false;
  std::atomic<bool> is_called_back_{false};
  os::Fd descriptor_;  // none until it is asked for
};

}  // namespace multiprocessing::work
