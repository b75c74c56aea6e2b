// SPDX-License-Identifier: BSL-1.0
// What the fork server does: something of the user's first, then what it is ordered to.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <multiprocessing/launch/target.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/parcel.hpp>

namespace multiprocessing::launch {

/// In the server. Blocks: until its owner has ended, or wants it no more.
void serve_forks();
/// Sets what the next fork server of this process does first. Throws: std::bad_alloc.
void set_server_target(std::shared_ptr<Target const> target);

/// What the server runs: `preload`, then its orders.
template <class Preload>
class ServerTarget final : public Target {
 public:
  explicit ServerTarget(Preload preload) : call_(std::in_place, std::move(preload)) {}
  void run() override {
    call_.run();
    serve_forks();
  }
  bool wants_socket() const override { return true; }
  void save(wire::Bytes& bytes, wire::Parcel& parcel) const override {
    TargetReader* const reader = &read;
    wire::encode(bytes, reader, parcel);
    call_.save(bytes, parcel);
  }

 private:
  static std::unique_ptr<Target> read(std::span<std::byte const>& bytes,
                                      wire::Parcel const& parcel) {
    auto const modules = os::ModuleTable::now();
    wire::decode<TargetReader*>(bytes, parcel, &modules);  // the call's own, which is known
    return std::make_unique<ServerTarget>(wire::decode<Preload>(bytes, parcel, &modules));
  }
  CallTarget<Preload> call_;
};

}  // namespace multiprocessing::launch

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/launch/fork_server.hpp>  // whose bodies have these two
#endif
