// SPDX-License-Identifier: BSL-1.0
// Which ends of pipes and channels a forked child keeps: those that it was handed. Of all others it
// has copies, too, but a child that held on to them would keep its brothers from ever seeing an end
// of file.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <multiprocessing/os/fork_gate.hpp>

namespace multiprocessing::channel {

/// What this process holds of an end.
class Heirloom {
 public:
  Heirloom() = default;
  Heirloom(Heirloom const&) = delete;
  Heirloom& operator=(Heirloom const&) = delete;
  virtual ~Heirloom() = default;

  /// This process does without it, from now on.
  virtual void give_up() noexcept = 0;
};

using Heirlooms = std::vector<std::weak_ptr<Heirloom>>;

namespace inheritance_detail {
/// All of this process; null: there were none yet. Never freed. Guarded by the fork gate, so that
/// no fork finds it half changed.
inline Heirlooms*& all() noexcept {
  static constinit Heirlooms* heirlooms = nullptr;
  return heirlooms;
}
/// What the handles that this thread copies now belong to; null: nobody wants to know.
inline Heirlooms*& collected() noexcept {
  static thread_local constinit Heirlooms* heirlooms = nullptr;
  return heirlooms;
}
}  // namespace inheritance_detail

/// From now on children give it up, unless they are handed it.
inline void register_heirloom(std::shared_ptr<Heirloom> const& heirloom) {
  os::ForkGateGuard const gate;
  auto*& all = inheritance_detail::all();
  if (all == nullptr) all = new Heirlooms;
  std::erase_if(*all, [](auto const& each) { return each.expired(); });
  all->push_back(heirloom);
}

/// To be called by every handle that is copied or moved.
inline void note_handle(std::shared_ptr<Heirloom> const& heirloom) {
  if (auto* const collected = inheritance_detail::collected(); collected != nullptr && heirloom) {
    collected->push_back(heirloom);
  }
}

/// Collects what the handles belong to that this thread copies or moves as long as it lives.
class Collector {
 public:
  Collector() : outer_(std::exchange(inheritance_detail::collected(), &heirlooms_)) {}
  Collector(Collector const&) = delete;
  Collector& operator=(Collector const&) = delete;
  ~Collector() { inheritance_detail::collected() = outer_; }

  Heirlooms take() { return std::move(heirlooms_); }

 private:
  Heirlooms heirlooms_;
  Heirlooms* outer_;
};

/// In a forked child, before any code of the user's: gives up all but `handed`.
inline void keep_only(Heirlooms const& handed) noexcept {
  auto const* const all = inheritance_detail::all();
  if (all == nullptr) return;
  auto const is_handed = [&](std::shared_ptr<Heirloom> const& one) {
    return std::any_of(handed.begin(), handed.end(),
                       [&](auto const& each) { return each.lock() == one; });
  };
  for (auto const& each : *all) {
    if (auto const one = each.lock(); one && !is_handed(one)) one->give_up();
  }
}

}  // namespace multiprocessing::channel
