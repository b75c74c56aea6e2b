// SPDX-License-Identifier: BSL-1.0
// Packets between ranks, over MPI. Nothing here waits: what can not go on now goes on at a later
// look.
//
//   to(rank) --> next[rank] --> flush() --> sending[rank] --> MPI_Isend
//                     ^--- grows while kMostSending packets are under way: so many small ones
//                          become one
//   receive() <-- MPI_Imrecv into arriving[source], each by itself: a large packet of one rank
//                 holds up that rank's own, and nobody else's
//
// A packet that is larger than kPiece goes as its size and pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include <multiprocessing/mpi/interface.hpp>
#include <multiprocessing/wire/archive.hpp>

namespace multiprocessing::mpi {

/// Threads: the one that initialized MPI.
class Post {
 public:
  explicit Post(MPI_Comm comm) : comm_(comm) {
    int size = 0;
    MPI_Comm_size(comm, &size);
    next_.resize(static_cast<std::size_t>(size));
    sending_.resize(static_cast<std::size_t>(size));
    arriving_.resize(static_cast<std::size_t>(size));
  }
  Post(Post const&) = delete;
  Post& operator=(Post const&) = delete;

  /// The next packet for `rank`, to be written on: about `size` bytes.
  wire::Bytes& to(int rank, std::size_t size = 0) {
    auto& next = next_[static_cast<std::size_t>(rank)];
    if (next.empty()) {
      written_.push_back(rank);
      if (next.capacity() == 0 || next.capacity() < size) keep(std::exchange(next, spare(size)));
      next.clear();
    } else if (next.size() >= kFull || size >= kFull) {
      send(rank, std::exchange(next, spare(size)));
      next.clear();
    }
    return next;
  }

  /// Sends what has been written. Whether anything went on.
  bool flush() {
    bool progress = end_sent();
    std::size_t kept = 0;
    for (int const rank : written_) {
      auto const r = static_cast<std::size_t>(rank);
      if (next_[r].empty()) continue;
      if (sending_[r].size() >= kMostSending) {
        written_[kept++] = rank;
        continue;
      }
      send(rank, std::exchange(next_[r], {}));
      progress = true;
    }
    written_.resize(kept);
    std::sort(written_.begin(), written_.end());
    written_.erase(std::unique(written_.begin(), written_.end()), written_.end());
    return progress;
  }

  /// Calls `take(rank, std::span<std::byte const>)` for each packet that is here, those of one rank
  /// in their order. Whether anything went on. Throws: what `take` does.
  template <class Take>
  bool receive(Take const& take) {
    bool progress = false;
    for (int count = 0; count < kMostAtATime && begin_one(); ++count) progress = true;
    for (std::size_t i = 0; i < sources_.size();) {
      auto const source = static_cast<std::size_t>(sources_[i]);
      auto& queue = arriving_[source];
      while (!queue.empty() && queue.front().has_arrived()) {
        auto packet = std::move(queue.front().bytes);
        queue.pop_front();
        take(static_cast<int>(source), packet);
        keep(std::move(packet));
        progress = true;
      }
      if (queue.empty()) {
        sources_[i] = sources_.back();
        sources_.pop_back();
      } else {
        ++i;
      }
    }
    return progress;
  }

  /// Whether memory is kept for packets to come, and gives it back: none have come or gone for
  /// long.
  bool has_spares() const noexcept { return !spares_.empty(); }
  void rest() noexcept {
    spares_.clear();
    spare_bytes_ = 0;
  }

  /// Whether nothing waits to be sent.
  bool has_sent_all() const noexcept { return destinations_.empty() && written_.empty(); }
  /// Whether neither end waits for the other.
  bool is_quiet() const noexcept { return has_sent_all() && sources_.empty(); }

 private:
  enum Tag : int { kWhole = 1, kSize, kPart };

  // As many as keep a network busy; what is written meanwhile becomes one packet.
  static constexpr std::size_t kMostSending = 2;
  // Larger ones would be copied as they grow; MPI sends them no faster.
  static constexpr std::size_t kFull = std::size_t{1} << 18;
  // MPI counts by int.
  static constexpr std::size_t kPiece = std::size_t{64} << 20;
  // Before what has arrived is looked at.
  static constexpr int kMostAtATime = 64;
  // Memory of packets that is used again, as new pages cost more than copies: so many, and so many
  // bytes of them, until rest().
  static constexpr std::size_t kMostSpares = 16;
  static constexpr std::size_t kMostSpareBytes = std::size_t{256} << 20;

  struct Sending {
    wire::Bytes bytes;
    std::uint64_t size = 0;  // sent before the pieces
    std::vector<MPI_Request> requests;
  };
  struct Arriving {
    wire::Bytes bytes;
    std::size_t begun = 0;  // bytes that are here, or on their way here
    std::vector<MPI_Request> requests;

    bool has_arrived() {
      if (begun != bytes.size()) return false;
      return all_done(requests);
    }
  };

  static bool all_done(std::vector<MPI_Request>& requests) {
    int done = 0;
    MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    return done != 0;
  }

  void send(int rank, wire::Bytes bytes) {
    auto& queue = sending_[static_cast<std::size_t>(rank)];
    if (queue.empty()) destinations_.push_back(rank);
    auto& sending = queue.emplace_back();
    sending.bytes = std::move(bytes);
    sending.size = sending.bytes.size();
    bool const is_whole = sending.size <= kPiece;
    auto const begin = [&](void const* data, std::size_t size, Tag tag) {
      sending.requests.emplace_back();
      MPI_Isend(data, static_cast<int>(size), MPI_BYTE, rank, tag, comm_, &sending.requests.back());
    };
    if (!is_whole) begin(&sending.size, sizeof sending.size, kSize);
    for (std::size_t first = 0; first < sending.size; first += kPiece) {
      begin(sending.bytes.data() + first, std::min(kPiece, sending.size - first),
            is_whole ? kWhole : kPart);
    }
  }

  bool end_sent() {
    bool progress = false;
    for (std::size_t i = 0; i < destinations_.size();) {
      auto& queue = sending_[static_cast<std::size_t>(destinations_[i])];
      while (!queue.empty() && all_done(queue.front().requests)) {
        keep(std::move(queue.front().bytes));
        queue.pop_front();
        progress = true;
      }
      if (queue.empty()) {
        destinations_[i] = destinations_.back();
        destinations_.pop_back();
      } else {
        ++i;
      }
    }
    return progress;
  }

  /// Whether there was a message.
  bool begin_one() {
    int is_there = 0;
    MPI_Message message;
    MPI_Status status;
    MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &is_there, &message, &status);
    if (is_there == 0) return false;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    auto const size = static_cast<std::size_t>(count);
    auto& queue = arriving_[static_cast<std::size_t>(status.MPI_SOURCE)];
    if (queue.empty()) sources_.push_back(status.MPI_SOURCE);
    if (status.MPI_TAG == kSize) {
      std::uint64_t total = 0;
      MPI_Mrecv(&total, sizeof total, MPI_BYTE, &message, MPI_STATUS_IGNORE);
      auto& fresh = queue.emplace_back();
      fresh.bytes = spare(total);
      fresh.bytes.resize(total);
      return true;
    }
    if (status.MPI_TAG == kWhole) {
      auto& fresh = queue.emplace_back();
      fresh.bytes = spare(size);
      fresh.bytes.resize(size);
    }
    auto& arriving = queue.back();
    arriving.requests.emplace_back();
    MPI_Imrecv(arriving.bytes.data() + arriving.begun, count, MPI_BYTE, &message,
               &arriving.requests.back());
    arriving.begun += size;
    return true;
  }

  /// The smallest that has room for so much, if there is one; for 0, which stands for nobody knows,
  /// the last one. Holds whatever it did, so that to make it larger zeros less.
  wire::Bytes spare(std::size_t size) {
    if (spares_.empty()) return {};
    auto best = spares_.end() - 1;
    for (auto each = spares_.begin(); size != 0 && each != spares_.end(); ++each) {
      if (each->capacity() < size) continue;
      if (best->capacity() < size || each->capacity() < best->capacity()) best = each;
    }
    if (best->capacity() < size) return {};  // it would be copied as it grows
    std::swap(*best, spares_.back());
    auto bytes = std::move(spares_.back());
    spares_.pop_back();
    spare_bytes_ -= bytes.capacity();
    return bytes;
  }
  void keep(wire::Bytes bytes) {
    if (spares_.size() == kMostSpares || bytes.capacity() == 0) return;
    if (spare_bytes_ + bytes.capacity() > kMostSpareBytes) return;
    spare_bytes_ += bytes.capacity();
    spares_.push_back(std::move(bytes));
  }

  MPI_Comm const comm_;
  // by rank
  std::vector<wire::Bytes> next_;
  std::vector<std::deque<Sending>> sending_;  // stay where they are
  std::vector<std::deque<Arriving>> arriving_;
  // ranks of which there is something
  std::vector<int> written_;
  std::vector<int> destinations_;
  std::vector<int> sources_;
  std::vector<wire::Bytes> spares_;
  std::size_t spare_bytes_ = 0;
};

}  // namespace multiprocessing::mpi
