// SPDX-License-Identifier: BSL-1.0
// The threads of a server, each with the end of a connection that it answers at.
#pragma once

#include <atomic>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace multiprocessing::serve {

/// A thread, and its end.
template <class End>
class Visit {
 public:
  explicit Visit(std::shared_ptr<End> end) : end_(std::move(end)) {}
  Visit(Visit const&) = delete;
  Visit& operator=(Visit const&) = delete;
  /// Blocks: until the thread has ended. (No std::jthread: libc++ 19 has it by an option only.)
  ~Visit() {
    if (thread_.joinable()) thread_.join();
  }

  /// Of the thread: whether it is answering, until it waits again. False: it has been stopped.
  bool set_answering(bool is_answering) {
    std::lock_guard const guard(mutex_);
    is_answering_ = is_answering;
    return !is_stopped_;
  }
  /// Of the thread: its last use of the end, and of what lies in that.
  void drop_end() noexcept {
    std::shared_ptr<End> gone;
    std::lock_guard const guard(mutex_);
    gone = std::move(end_);
  }
  /// REQUIRES: drop_end() has not been called.
  End& end() const noexcept { return *end_; }

  /// Gives the end to `close`, if the thread waits at it for a call; one that runs is answered yet.
  template <class Close>
  void stop(Close const& close) {
    std::lock_guard const guard(mutex_);
    is_stopped_ = true;
    if (!is_answering_ && end_ != nullptr) close(*end_);
  }
  /// The same, whatever the thread does.
  template <class Close>
  void abandon(Close const& close) {
    std::lock_guard const guard(mutex_);
    is_stopped_ = true;
    if (end_ != nullptr) close(*end_);
  }

  /// Runs `body(*this)` in the thread. Throws: std::system_error when there can be none.
  template <class Body>
  void begin(Body const& body) {
    thread_ = std::thread([this, body] {
      body(*this);
      is_over_ = true;
    });
  }
  bool is_over() const noexcept { return is_over_.load(); }

 private:
  std::mutex mutex_;
  std::shared_ptr<End> end_;  // changes under mutex_, by the thread alone
  // guarded by mutex_
  bool is_answering_ = true;
  bool is_stopped_ = false;

  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

/// All of a server. Threads: one at a time.
template <class End>
class Visits {
 public:
  /// Runs `body(visit)` in a thread of its own. Where there can be none, `refuse(end)`, called
  /// while the exception that says so is handled. Throws: std::bad_alloc.
  template <class Body, class Refuse>
  void begin(std::shared_ptr<End> end, Body const& body, Refuse const& refuse) {
    visits_.remove_if([](Visit<End> const& visit) { return visit.is_over(); });
    auto& visit = visits_.emplace_back(std::move(end));
    try {
      visit.begin(body);
    } catch (std::exception const&) {
      refuse(visit.end());
      visits_.pop_back();
    }
  }

  template <class Close>
  void stop(Close const& close) {
    for (auto& visit : visits_) visit.stop(close);
  }
  template <class Close>
  void abandon(Close const& close) {
    for (auto& visit : visits_) visit.abandon(close);
  }
  /// Blocks: until all have ended.
  void join() { visits_.clear(); }

 private:
  std::list<Visit<End>> visits_;
};

}  // namespace multiprocessing::serve
