// SPDX-License-Identifier: BSL-1.0
// map over a range: typed at both ends, bytes in between.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiprocessing/base/cache_line.hpp>
#include <multiprocessing/os/module.hpp>
#include <multiprocessing/wire/archive.hpp>
#include <multiprocessing/wire/callable.hpp>
#include <multiprocessing/wire/code_pointer.hpp>
#include <multiprocessing/wire/refusal.hpp>
#include <multiprocessing/wire/representation.hpp>
#include <multiprocessing/work/chunk_context.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/job.hpp>
#include <multiprocessing/work/waves.hpp>

namespace multiprocessing::work {

namespace map_detail {

/// Tasks own their item, so it is passed as an rvalue; as an lvalue to who insists on `Item&`.
template <class F, class Item>
decltype(auto) call(F& f, Item& item) {
  if constexpr (std::is_invocable_v<F&, Item>) {
    return std::invoke(f, std::move(item));
  } else {
    return std::invoke(f, item);
  }
}

template <class F, class Item>
concept CallableWith = std::is_invocable_v<F&, Item> || std::is_invocable_v<F&, Item&>;

template <class F, class Item>
using ResultOf = std::remove_cvref_t<decltype(call(std::declval<F&>(), std::declval<Item&>()))>;

template <class Item>
class ItemReader {
 public:
  explicit ItemReader(ChunkContext const& context)
      : rest_(bytes_of(context)), modules_(&context.modules) {}

  Item next() { return wire::decode<Item>(rest_, modules_); }

 private:
  static std::span<std::byte const> bytes_of(ChunkContext const& context) {
    auto const& job = context.job;
    std::byte const* const base = context.segment.data(job.input);
    if constexpr (wire::PlainBytes<Item>) {
      return {base + context.first_item() * sizeof(Item),
              (context.end_item() - context.first_item()) * sizeof(Item)};
    } else {
      auto const* const table = context.segment.template at<std::uint64_t>(job.input_table);
      return {base + table[context.chunk], table[context.chunk + 1] - table[context.chunk]};
    }
  }

  std::span<std::byte const> rest_;
  os::ModuleTable const* modules_;
};

/// What a worker runs for every chunk of a map of `F` over `Item`s.
template <class F, class Item>
void run_chunk(ChunkContext const& context) {
  using Result = ResultOf<F, Item>;
  auto const& job = context.job;
  std::span<std::byte const> callable{context.segment.data(job.callable.offset), job.callable.size};
  F f = wire::decode<F>(callable, &context.modules);
  ItemReader<Item> items(context);
  if constexpr (std::is_void_v<Result>) {
    for (auto i = context.first_item(); i < context.end_item(); ++i) {
      Item item = items.next();
      call(f, item);
      context.end_if_forked();
    }
  } else if constexpr (wire::PlainBytes<Result>) {
    std::byte* to = context.segment.data(job.results) + context.first_item() * sizeof(Result);
    for (auto i = context.first_item(); i < context.end_item(); ++i, to += sizeof(Result)) {
      Item item = items.next();
      Result const result = call(f, item);
      context.end_if_forked();
      wire::write_representations(to, std::addressof(result), 1);
    }
  } else {
    wire::Bytes bytes;
    for (auto i = context.first_item(); i < context.end_item(); ++i) {
      Item item = items.next();
      wire::encode<Result>(bytes, call(f, item));
    }
    context.end_if_forked();
    context.record(bytes);
  }
}

/// The range as something that knows its size: itself, or a copy.
template <class Item, std::ranges::input_range Inputs>
decltype(auto) sized(Inputs&& inputs) {
  if constexpr (std::ranges::sized_range<Inputs>) {
    return std::forward<Inputs>(inputs);
  } else {
    std::vector<Item> items;
    for (auto&& item : inputs) items.emplace_back(std::forward<decltype(item)>(item));
    return items;
  }
}

template <class Item, class Inputs>
void write_items(char const* call, Inputs&& inputs, std::uint64_t count, std::byte* to) {
  if constexpr (std::ranges::contiguous_range<Inputs>) {
    Item const* const items = std::ranges::data(inputs);
    wire::write_representations(to, items, count);
  } else {
    std::uint64_t written = 0;
    for (auto&& each : inputs) {
      if (++written > count) break;
      Item const item(std::forward<decltype(each)>(each));
      wire::write_representations(to, std::addressof(item), 1);
      to += sizeof(Item);
    }
    if (written != count) {
      throw std::invalid_argument(std::string(call) + ": the range says that it has " +
                                  std::to_string(count) + " items, but it has not");
    }
  }
}

/// Throws: std::bad_alloc when the product does not fit.
inline std::uint64_t bytes_of(std::uint64_t count, std::uint64_t size) {
  if (size != 0 && count > UINT64_MAX / 2 / size) throw std::bad_alloc();
  return count * size;
}

/// Encoded items, and where each chunk begins.
struct EncodedItems {
  wire::Bytes bytes;
  std::vector<std::uint64_t> ends;  // of each item

  void write_table(std::uint64_t* table, JobSizes const& sizes) const {
    table[0] = 0;
    for (std::uint64_t chunk = 0; chunk < sizes.chunks(); ++chunk) {
      table[chunk + 1] = ends[std::min((chunk + 1) * sizes.chunk_size, sizes.items) - 1];
    }
  }
};

template <class Item, class Inputs>
EncodedItems encode_items(Inputs&& inputs) {
  EncodedItems items;
  for (auto&& item : inputs) {
    wire::encode<Item>(items.bytes, std::forward<decltype(item)>(item));
    items.ends.push_back(items.bytes.size());
  }
  return items;
}

/// REQUIRES: plain ones.
template <class Result>
std::span<Result const> plain_results(Job const& job, std::uint64_t count) {
  return {reinterpret_cast<Result const*>(job.results()), static_cast<std::size_t>(count)};
}

template <class Result>
std::vector<Result> collect(Job const& job, std::uint64_t count) {
  if constexpr (wire::PlainBytes<Result>) {
    auto const results = plain_results<Result>(job, count);
    return std::vector<Result>(results.begin(), results.end());
  } else {
    std::vector<Result> results;
    results.reserve(count);
    for (std::uint32_t chunk = 0; chunk < job.chunks(); ++chunk) {
      auto rest = job.encoded_results(chunk);
      for (auto left = job.items_in(chunk); left != 0; --left) {
        results.push_back(wire::decode<Result>(rest));
      }
    }
    return results;
  }
}

/// Throws: std::invalid_argument.
inline std::uint64_t checked_chunk_size(char const* call, std::int64_t asked) {
  if (asked >= 1) return static_cast<std::uint64_t>(asked);
  throw std::invalid_argument(std::string(call) + ": chunksize must be at least 1, not " +
                              std::to_string(asked));
}

inline std::uint64_t chunk_size_for(char const* call, std::optional<std::int64_t> asked,
                                    std::uint64_t items, int workers) {
  if (asked) return checked_chunk_size(call, *asked);
  return fair_chunk_size(items, static_cast<std::uint64_t>(workers));
}

/// Of a call that has more than one wave.
template <class Item, class Result>
auto run_waves(Waves& waves, char const* call, std::span<Item const> items) {
  auto const fill = [&](Job& job, std::uint64_t first, std::uint64_t size) {
    write_items<Item>(call, items.subspan(first, size), size, job.input());
  };
  if constexpr (std::is_void_v<Result>) {
    waves.run(fill, [](Job const&, std::uint64_t) {});
  } else {
    std::vector<Result> all;
    all.reserve(items.size());
    waves.run(fill, [&](Job const& job, std::uint64_t size) {
      auto const results = plain_results<Result>(job, size);
      if constexpr (std::is_copy_assignable_v<Result>) {
        all.insert(all.end(), results.begin(), results.end());
      } else {
        for (auto const& result : results) all.push_back(result);
      }
    });
    return all;
  }
}

template <class Item, class Result, class Items>
inline constexpr bool kMayGoInWaves = false;
template <wire::PlainBytes Item, class Result, std::ranges::contiguous_range Items>
requires(std::is_void_v<Result> ||
         wire::PlainBytes<Result>) inline constexpr bool kMayGoInWaves<Item, Result, Items> = true;

template <class F, class Item, class Result, class Inputs>
auto run(Crew& crew, char const* call, std::optional<std::int64_t> chunksize, F const& f,
         Inputs&& inputs) {
  crew.require_open(call);
  wire::Bytes callable;
  wire::encode<F>(callable, f);
  auto const code = wire::place_of(&run_chunk<F, Item>);

  std::uint64_t result_size = 0;  // 0: has none in advance
  if constexpr (!std::is_void_v<Result> && wire::PlainBytes<Result>) {
    static_assert(
        alignof(Result) <= base::kCacheLine,
        "multiprocessing: results are kept at the alignment of a cache line, 64 bytes; this "
        "type wants more");
    result_size = sizeof(Result);
  }
  JobSizes sizes;
  auto const run_job = [&](std::uint64_t count, std::uint64_t input_bytes, auto const& fill) {
    sizes.items = count;
    sizes.chunk_size = chunk_size_for(call, chunksize, count, crew.workers());
    sizes.input_bytes = input_bytes;
    sizes.result_bytes = bytes_of(count, result_size);
    if (count == 0) {
      if constexpr (std::is_void_v<Result>) {
        return;
      } else {
        return std::vector<Result>{};
      }
    }
    Job job(crew, call, sizes, code, callable);
    fill(job);
    job.run();
    if constexpr (!std::is_void_v<Result>) return collect<Result>(job, count);
  };

  if constexpr (wire::PlainBytes<Item>) {
    auto&& items = sized<Item>(std::forward<Inputs>(inputs));
    auto const count = static_cast<std::uint64_t>(std::ranges::size(items));
    if constexpr (kMayGoInWaves<Item, Result, decltype(items)>) {
      auto const workers = static_cast<std::uint64_t>(crew.workers());
      WaveSizes wanted{count, sizeof(Item), result_size, workers};
      if (wanted.are_many()) {
        if (chunksize) wanted.asked_chunk_size = checked_chunk_size(call, *chunksize);
        Waves waves(crew, call, wanted, code, callable);
        return run_waves<Item, Result>(waves, call, {std::ranges::data(items), count});
      }
    }
    return run_job(count, bytes_of(count, sizeof(Item)),
                   [&](Job& job) { write_items<Item>(call, items, count, job.input()); });
  } else {
    auto const items = encode_items<Item>(std::forward<Inputs>(inputs));
    sizes.input_is_encoded = true;
    return run_job(items.ends.size(), items.bytes.size(), [&](Job& job) {
      items.write_table(job.input_table(), sizes);
      if (!items.bytes.empty()) {
        std::memcpy(job.input(), items.bytes.data(), items.bytes.size());
      }
    });
  }
}

}  // namespace map_detail

/// f(item) for every item, in order. What Pool::map promises is said there.
template <class F, std::ranges::input_range Inputs>
auto map(Crew& crew, char const* call, std::optional<std::int64_t> chunksize, F const& f,
         Inputs&& inputs) {
  using Item = std::ranges::range_value_t<Inputs>;
  wire::require_sendable<F>();
  wire::require_picklable<Item>();
  static_assert(map_detail::CallableWith<F, Item>,
                "multiprocessing: the function can not be called with an item of this range");
  if constexpr (wire::Sendable<F> && wire::Picklable<Item> && map_detail::CallableWith<F, Item>) {
    using Result = map_detail::ResultOf<F, Item>;
    if constexpr (std::is_void_v<Result>) {
      map_detail::run<F, Item, Result>(crew, call, chunksize, f, std::forward<Inputs>(inputs));
    } else {
      wire::require_picklable<Result>();
      if constexpr (wire::Picklable<Result>) {
        return map_detail::run<F, Item, Result>(crew, call, chunksize, f,
                                                std::forward<Inputs>(inputs));
      }
    }
  }
}

}  // namespace multiprocessing::work
