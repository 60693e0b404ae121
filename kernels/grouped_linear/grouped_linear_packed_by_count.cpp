// Experts by our product for tiles: threads take blocks of 64 columns of any expert one by one. With AMX that is all
// (128 experts of 1536 x 2048 with 64 rows each are read at 18.5 GB/s, with 128 rows at 11.6; oneDNN 2.6: 9.5 at 64).
// Without, experts with more than six rows go one after the other to oneDNN on all threads, which reads the same packed
// copy; where one of the two is missing, the other does everything.
//
// oneDNN's plans are made per number of rows, because a run-time dimension halves its speed: 0.3 to 1.4 ms each. Every
// number up to 64 has one, and so has every multiple of 64 up to 1024. More rows go in chunks, largest first: 64 rows
// of a 1536 x 2048 matrix take about as long to multiply (AMX, 1.4 TFLOP/s) as the matrix takes to read, so that
// reading it once more for the remainder costs little.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "grouped_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/libraries/onednn.h"

namespace layercost {
namespace {

class PlansByRows {
 public:
  PlansByRows(std::int64_t first, std::int64_t rows, DType y, const std::shared_ptr<const OnednnMatrices>& w, bool bias)
      : exact_(kStep), chunks_(1) {
    for (std::int64_t m = 1; m < kStep && m <= rows; ++m)
      if (m >= first || rows > kStep) exact_[static_cast<std::size_t>(m)] = OnednnMatmul::make(m, y, w, {.bias = bias});
    for (std::int64_t m = kStep; m <= std::min(rows, kMost); m += kStep)
      chunks_.push_back(OnednnMatmul::make(m, y, w, {.bias = bias}));
  }
  // The plan for the next chunk of `rows` rows, and how many of them it takes.
  std::pair<OnednnMatmul*, std::int64_t> next(std::int64_t rows) const {
    if (rows < kStep) return {exact_[static_cast<std::size_t>(rows)].get(), rows};
    const std::int64_t steps = std::min(rows, kMost) / kStep;
    return {chunks_[static_cast<std::size_t>(steps)].get(), steps * kStep};
  }

 private:
  static constexpr std::int64_t kStep = 64, kMost = 1024;
  std::vector<std::unique_ptr<OnednnMatmul>> exact_, chunks_;  // by rows, by rows / 64
};

struct Product {
  std::int64_t rows, experts, n, k;
  Tensor x, offsets, y;
  std::shared_ptr<const OwnedTensor> bias;  // [experts, n] in w's type; null: none
  std::shared_ptr<const Bf16Tiles> tiles;   // null: oneDNN does everything
  std::optional<TileProduct> tile;
  std::int64_t most_few = 0;           // rows of an expert up to which tiles do it
  std::unique_ptr<PlansByRows> plans;  // null: tiles do everything
  std::vector<std::int64_t> few;       // the experts for tiles in this run
  Buffer packed;                       // x of those

  template <class Y>
  void run_tiles() {
    const auto* from = offsets.as<std::int32_t>();
    const std::int64_t blocks = tiles->blocks(), count = static_cast<std::int64_t>(few.size());
    const auto packed_of = [&](std::int64_t e) { return packed.as<bf16>() + TileProduct::packed_elements(from[e], k); };
    each_row(count, from[experts] * k >= kParallelElements, [&](std::int64_t i) {
      const std::int64_t e = few[static_cast<std::size_t>(i)];
      tile->pack(x.as<bf16>() + from[e] * k, from[e + 1] - from[e], k, packed_of(e));
    });
    each_piece(count * blocks, [&](int, std::int64_t i, std::int64_t after) {
      const std::int64_t e = few[static_cast<std::size_t>(i / blocks)], first = from[e];
      const bf16* next =
          after < 0 ? nullptr : tiles->block(few[static_cast<std::size_t>(after / blocks)], after % blocks);
      tile->block(packed_of(e), from[e + 1] - first, *tiles, e, i % blocks, next,
                  TileOutput<Y>{y.as<Y>() + first * n, bias ? bias->view().as<bf16>() + e * n : nullptr});
    });
  }

  void run_plans(std::int64_t e) {
    const void* bias_of =
        bias ? bias->view().as<std::byte>() + static_cast<std::size_t>(e * n) * size_of(bias->view().dtype) : nullptr;
    for (std::int64_t row = offsets.as<std::int32_t>()[e], end = offsets.as<std::int32_t>()[e + 1]; row < end;) {
      const auto [plan, count] = plans->next(end - row);
      plan->execute(x.as<std::byte>() + static_cast<std::size_t>(row * k) * size_of(x.dtype), e, bias_of, nullptr,
                    y.as<std::byte>() + static_cast<std::size_t>(row * n) * size_of(y.dtype));
      row += count;
    }
  }

  void run() {
    const auto* from = offsets.as<std::int32_t>();
    const auto by_tiles = [&](std::int64_t e) { return from[e + 1] - from[e] <= most_few; };
    few.clear();
    for (std::int64_t e = 0; e < experts; ++e)
      if (from[e] < from[e + 1] && by_tiles(e)) few.push_back(e);
    if (!few.empty()) dispatch_float(y.dtype, [&]<class Y>(Y*) { run_tiles<Y>(); });
    for (std::int64_t e = 0; e < experts; ++e)
      if (!by_tiles(e)) run_plans(e);
  }
};

bool by_tiles(const OpCase& c, const DeviceInfo& device) {
  return c.type("x_type") == DType::bf16 && c.type("w_type") == DType::bf16 && has_tile_product(device);
}

Support by_onednn(const OpCase& c, const DeviceInfo& device) {
  return onednn_supports(c.type("x_type"), c.type("w_type"), c.type("y_type"), device);
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  return by_tiles(c, device) ? Support::yes() : by_onednn(c, device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  auto p = std::make_shared<Product>();
  p->rows = c.axis("rows"), p->experts = c.axis("experts"), p->n = c.axis("n"), p->k = c.axis("k");
  p->x = t.tensor("x"), p->offsets = t.tensor("offsets"), p->y = t.tensor("y");
  if (c.flag("bias")) p->bias = row_major(*t.weight("bias"));
  std::string chosen;
  const bool onednn = static_cast<bool>(by_onednn(c, runtime.device()));
  p->few.reserve(static_cast<std::size_t>(p->experts));
  if (by_tiles(c, runtime.device())) {
    p->tiles = Bf16Tiles::of(*t.weight("w"));
    p->tile.emplace(runtime.device());
    p->packed = Buffer(static_cast<std::size_t>(TileProduct::packed_elements(p->rows, p->k)) * sizeof(bf16));
    const bool always = has_amx_product(runtime.device()) || !onednn;
    p->most_few = always ? p->rows : few_rows(runtime.device());
    chosen = fmt::format("{} up to {} rows, weights BA16a64b2a", p->tile->name_for(p->most_few), p->most_few);
  }
  if (onednn && p->rows > p->most_few) {
    p->plans = std::make_unique<PlansByRows>(p->most_few + 1, p->rows, p->y.dtype, OnednnMatrices::of(*t.weight("w")),
                                             p->bias != nullptr);
    chosen += (p->tiles ? "; " : "") + p->plans->next(p->rows).first->chosen();
  }
  return invocation([p] { p->run(); }, chosen);
}

}  // namespace

const Variant grouped_linear_packed_by_count{
    .name = "packed_by_count",
    .target = Target::cpu,
    .provider = "layercost, oneDNN",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
