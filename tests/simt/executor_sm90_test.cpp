// The executor's side of kernels/simt/sm90.h: barriers with phases, tiles of the copy engine, products of a warp group,
// against plain loops and against positions worked out by hand from the layouts that sm90.h states.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/simt/sm90.h"

namespace layercost {
namespace {

using namespace simt;

constexpr unsigned kOrders[] = {0, 1, 2, 3, 4, 5};

int thread() { return static_cast<int>(threadIdx.x); }

// Small whole numbers: sums of a few hundred products of two are exact in f32, in any order.
bf16 number(int i, int j) { return to_bf16(static_cast<float>((i * 7 + j * 13 + i * j) % 17 - 8)); }

struct Matrix {
  int rows, columns;
  std::vector<bf16> v;
  Matrix(int r, int c) : rows(r), columns(c), v(static_cast<std::size_t>(r * c)) {
    for (int i = 0; i < r; ++i)
      for (int j = 0; j < c; ++j) v[static_cast<std::size_t>(i * c + j)] = number(i, j);
  }
  double at(int i, int j) const { return to_float(v[static_cast<std::size_t>(i * columns + j)]); }
  TensorMap map(int box_rows) const {
    TensorMap m;
    EXPECT_EQ(make_tensor_map(&m, {v.data(), columns, rows, 1, columns * 2, rows * columns * 2, 64, box_rows}), 0);
    return m;
  }
};

// a b, or a b^T: what every order of threads has to come to, plus `more`.
std::vector<float> product(const Matrix& a, const Matrix& b, bool transposed, float more = 0) {
  const int columns = transposed ? b.rows : b.columns;
  std::vector<float> c;
  for (int i = 0; i < a.rows; ++i)
    for (int j = 0; j < columns; ++j) {
      double sum = more;
      for (int k = 0; k < a.columns; ++k) sum += a.at(i, k) * (transposed ? b.at(j, k) : b.at(k, j));
      c.push_back(static_cast<float>(sum));
    }
  return c;
}

template <class Test>
void in_all_orders(Test test) {
  for (unsigned order : kOrders) {
    set_order(order);
    test();
  }
  set_order(0);
}

// ---- mbarriers ------------------------------------------------------------------------------------------------------

// One number at a time from warp 0 to warp 1 through one place: full and empty take turns.
TEST(Mbarrier, Phases) {
  struct Shared {
    Array<int, 1> place;
    Array<Mbarrier, 2> b;
  };
  std::vector<int> out(32 * 5);
  in_all_orders([&] {
    std::fill(out.begin(), out.end(), -1);
    launch("phases", {dim3(1), dim3(64), sizeof(Shared)}, +[](int* to) {
      auto& s = shared<Shared>();
      Mbarrier &full = s.b[0], &empty = s.b[1];
      if (thread() == 0) {
        mbarrier_init(full, 1);
        mbarrier_init(empty, 32);
        mbarrier_init_fence();
      }
      sync_block();
      if (warp() == 0) {
        if (lane() != 0) return;  // 31 threads end early
        for (int i = 0; i < 5; ++i) {
          mbarrier_wait(empty, (i & 1) ^ 1);  // the first returns at once
          s.place[0] = 100 + i;
          mbarrier_arrive(full);
        }
      } else {
        for (int i = 0; i < 5; ++i) {
          mbarrier_wait(full, i & 1);
          to[32 * i + lane()] = s.place[0];
          mbarrier_arrive(empty);
        }
      }
    }, out.data());
    for (int i = 0; i < 5; ++i)
      for (int l = 0; l < 32; ++l) EXPECT_EQ(out[static_cast<std::size_t>(32 * i + l)], 100 + i);
  });
}

// The arrivals of 32 threads come with their copies, which are read by others.
TEST(Mbarrier, CopiesArrive) {
  struct Shared {
    Array<Vec16, 64> row;
    Array<Mbarrier, 1> b;
  };
  std::vector<Vec16> from(64), out(64);
  for (unsigned i = 0; i < 64; ++i) from[i] = {{i, 0, 0, 64 + i}};
  in_all_orders([&] {
    std::fill(out.begin(), out.end(), Vec16{});
    launch("copies", {dim3(1), dim3(96), sizeof(Shared)}, +[](const Vec16* source, Vec16* to) {
      auto& s = shared<Shared>();
      if (thread() == 95) {
        mbarrier_init(s.b[0], 32);
        mbarrier_init_fence();
      }
      sync_block();
      if (warp() == 2) {
        for (int i : {0, 32}) cp_async16(&s.row[i + lane()], source + i + lane());
        cp_async_arrive(s.b[0]);
        return;
      }
      mbarrier_wait(s.b[0], 0);
      to[thread()] = s.row[63 - thread()];
    }, static_cast<const Vec16*>(from.data()), out.data());
    for (unsigned i = 0; i < 64; ++i) {
      EXPECT_EQ(out[i].word[0], 63 - i);
      EXPECT_EQ(out[i].word[3], 127 - i);
    }
  });
}

// ---- tiles ----------------------------------------------------------------------------------------------------------

struct Box {
  int x, y, z;
};

// The box as it lies in shared memory.
std::vector<bf16> loaded(const TensorMap& map, int box_rows, Box at, bool three) {
  struct alignas(1024) Shared {
    Array<bf16, 64 * 64> tile;
    Array<Mbarrier, 1> b;
  };
  std::vector<bf16> out(static_cast<std::size_t>(box_rows * 64));
  launch("loaded", {dim3(1), dim3(32), sizeof(Shared)},
         +[](const __grid_constant__ TensorMap m, int rows, Box p, bool slice, bf16* to) {
           auto& s = shared<Shared>();
           if (thread() == 0) {
             mbarrier_init(s.b[0], 1);
             mbarrier_init_fence();
             if (slice) tma_load(&s.tile[0], m, s.b[0], p.x, p.y, p.z);
             else tma_load(&s.tile[0], m, s.b[0], p.x, p.y);
             mbarrier_arrive_expect(s.b[0], rows * 128);
           }
           sync_block();
           mbarrier_wait(s.b[0], 0);
           for (int i = thread(); i < rows * 64; i += 32) to[i] = s.tile[i];
         },
         map, box_rows, at, three, out.data());
  return out;
}

TEST(TmaLoad, SwizzledPositions) {
  std::vector<bf16> v(40 * 192);
  for (std::size_t i = 0; i < v.size(); ++i) v[i].bits = static_cast<std::uint16_t>(i);
  TensorMap map;
  ASSERT_EQ(make_tensor_map(&map, {v.data(), 192, 40, 1, 384, 40 * 384, 64, 16}), 0);
  const std::vector<bf16> tile = loaded(map, 16, {64, 8, 0}, false);
  // Element (row, column) of the box is 192 (8 + row) + 64 + column. Places worked out by hand, in elements:
  EXPECT_EQ(tile[0].bits, 192 * 8 + 64);                // (0, 0): row 0 is as it was
  EXPECT_EQ(tile[63].bits, 192 * 8 + 127);              // (0, 63)
  EXPECT_EQ(tile[64 + 8].bits, 192 * 9 + 64);           // (1, 0): piece 0 lies at piece 0 ^ 1 = 1
  EXPECT_EQ(tile[64 + 0 + 5].bits, 192 * 9 + 64 + 13);  // (1, 13): piece 1 at 1 ^ 1 = 0, element 5 of it
  EXPECT_EQ(tile[3 * 64 + 48].bits, 192 * 11 + 64 + 40);   // (3, 40): piece 5 at 5 ^ 3 = 6
  EXPECT_EQ(tile[7 * 64 + 0].bits, 192 * 15 + 64 + 56);    // (7, 56): piece 7 at 0
  EXPECT_EQ(tile[8 * 64 + 16].bits, 192 * 16 + 64 + 16);   // (8, 16): row 8 counts as row 0
  EXPECT_EQ(tile[13 * 64 + 57].bits, 192 * 21 + 64 + 17);  // (13, 17): piece 2 at 2 ^ 5 = 7
}

TEST(TmaLoad, ZerosOutside) {
  // 3 slices of 5 rows of 70 elements, apart from one another by more than they are long: what lies between is NaN.
  constexpr int columns = 70, rows = 5, slices = 3, row_stride = 80, slice_stride = 480;
  std::vector<bf16> v(slices * slice_stride, bf16{0x7fff});
  const auto value = [](int z, int y, int x) { return to_bf16(static_cast<float>(1 + x + 71 * y + 400 * z)); };
  for (int z = 0; z < slices; ++z)
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < columns; ++x)
        v[static_cast<std::size_t>(slice_stride * z + row_stride * y + x)] = value(z, y, x);
  TensorMap map;
  ASSERT_EQ(make_tensor_map(&map, {v.data(), columns, rows, slices, 2 * row_stride, 2 * slice_stride, 64, 8}), 0);
  int zeros = 0;
  for (Box at : {Box{0, 0, 0}, Box{-3, -2, 1}, Box{64, 3, 2}, Box{0, -8, 0}, Box{0, 5, 0}, Box{70, 0, 0},
                 Box{-64, 0, 0}, Box{0, 0, 3}, Box{0, 0, -1}, Box{11, 1, 1}, Box{-2147483647, 2147483647, 0}}) {
    const std::vector<bf16> tile = loaded(map, 8, at, true);
    for (int r = 0; r < 8; ++r)
      for (int c = 0; c < 64; ++c) {
        const std::int64_t x = std::int64_t{at.x} + c, y = std::int64_t{at.y} + r;
        const bool inside = x >= 0 && x < columns && y >= 0 && y < rows && at.z >= 0 && at.z < slices;
        const int expected = inside ? value(at.z, static_cast<int>(y), static_cast<int>(x)).bits : 0;
        zeros += !inside;
        EXPECT_EQ(tile[static_cast<std::size_t>(64 * r + (c / 8 ^ r) * 8 + c % 8)].bits, expected)
            << at.x << ", " << at.y << ", " << at.z << " + " << r << ", " << c;
      }
  }
  EXPECT_GT(zeros, 6 * 8 * 64);
}

TEST(TmaLoad, MapsThatTheDriverRefuses) {
  alignas(16) static bf16 v[64 * 64];
  const MatrixShape good = {v, 64, 64, 1, 128, 8192, 64, 64};
  TensorMap map;
  EXPECT_EQ(make_tensor_map(&map, good), 0);
  const auto refused = [&](auto change) {
    MatrixShape m = good;
    change(m);
    return make_tensor_map(&map, m) != 0;
  };
  EXPECT_TRUE(refused([](MatrixShape& m) { m.base = nullptr; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.base = v + 4; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.columns = 0; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.rows = 0; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.rows = (std::int64_t{1} << 32) + 1; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.slices = 0; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.row_stride_bytes = 136; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.row_stride_bytes = 0; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.row_stride_bytes = std::int64_t{1} << 40; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.slice_stride_bytes = 8200; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.box_columns = 32; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.box_rows = 0; }));
  EXPECT_TRUE(refused([](MatrixShape& m) { m.box_rows = 257; }));
  EXPECT_FALSE(refused([](MatrixShape& m) { m.box_rows = 256; }));
}

// ---- products -------------------------------------------------------------------------------------------------------

// c[rows][columns] = a[rows][depth] b^T, b: [columns][depth]. A block: 128 rows, kColumns columns, two warp groups that
// compute and one whose first thread loads, two stages ahead.
template <int kColumns>
struct alignas(1024) Stages {
  Array<Array<bf16, 128 * 64>, 2> a;
  Array<Array<bf16, kColumns * 64>, 2> b;
  Array<Mbarrier, 2> full, empty;
};

template <int kColumns>
__global__ void row_wise(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* c, int rows,
                         int columns, int depth) {
  auto& s = shared<Stages<kColumns>>();
  const int row0 = 128 * static_cast<int>(blockIdx.x), column0 = kColumns * static_cast<int>(blockIdx.y);
  const int steps = (depth + 63) / 64, group = thread() / 128;
  if (thread() == 0) {
    for (int i = 0; i < 2; ++i) {
      mbarrier_init(s.full[i], 1);
      mbarrier_init(s.empty[i], 2);
    }
    mbarrier_init_fence();
  }
  sync_block();
  if (group == 2) {
    registers_fewer<24>();
    if (thread() != 256) return;
    for (int i = 0; i < steps; ++i) {
      const int at = i % 2;
      mbarrier_wait(s.empty[at], (i / 2 & 1) ^ 1);
      mbarrier_arrive_expect(s.full[at], (128 + kColumns) * 128);
      tma_load(&s.a[at][0], a, s.full[at], 64 * i, row0);
      tma_load(&s.b[at][0], b, s.full[at], 64 * i, column0);
    }
    return;
  }
  registers_more<240>();
  float d[kColumns / 2];  // the first product does not add
  for (int i = 0; i < steps; ++i) {
    const int at = i % 2;
    mbarrier_wait(s.full[at], i / 2 & 1);
    const std::uint64_t left = swizzled_128(&s.a[at][64 * 64 * group], 1024), right = swizzled_128(&s.b[at][0], 1024);
    wgmma_fence();
    for (unsigned k = 0; k < 4; ++k) wgmma_bf16<kColumns>(d, left + 2 * k, right + 2 * k, i + static_cast<int>(k) > 0);
    wgmma_commit();
    if (thread() % 128 == 0 && i > 0) mbarrier_arrive(s.empty[(i - 1) % 2]);  // awaited in the round before
    wgmma_wait<0>();
  }
  for (int e = 0; e < kColumns / 2; ++e) {
    const int row = row0 + 16 * warp() + lane() / 4 + 8 * (e % 4 / 2);
    const int column = column0 + e / 4 * 8 + lane() % 4 * 2 + e % 2;
    if (row < rows && column < columns) c[row * columns + column] = d[e];
  }
}

template <int kColumns>
void check_row_wise(int rows, int columns, int depth) {
  const Matrix a(rows, depth), b(columns, depth);
  const TensorMap left = a.map(128), right = b.map(kColumns);
  const std::vector<float> expected = product(a, b, true);
  std::vector<float> c(expected.size());
  in_all_orders([&] {
    std::fill(c.begin(), c.end(), NAN);
    const dim3 grid(static_cast<unsigned>((rows + 127) / 128),
                    static_cast<unsigned>((columns + kColumns - 1) / kColumns));
    launch("row_wise", {grid, dim3(384), sizeof(Stages<kColumns>)}, row_wise<kColumns>, left, right, c.data(), rows,
           columns, depth);
    EXPECT_EQ(c, expected);
  });
}

TEST(Wgmma, TilesInSharedMemory) {
  check_row_wise<64>(130, 70, 320);
  check_row_wise<128>(100, 128, 72);
  check_row_wise<192>(64, 192, 200);
}

// One warp group: c[64][columns] = a[64][64] b, a from registers, b: [64][columns] as it lies in memory.
template <int kColumns>
struct alignas(1024) Transposed {
  Array<Array<bf16, 64 * 64>, kColumns / 64> b;
  Array<Mbarrier, 1> full;
};

template <int kColumns>
__global__ void by_columns(const bf16* a, const __grid_constant__ TensorMap b, float* c) {
  auto& s = shared<Transposed<kColumns>>();
  if (thread() == 0) {
    mbarrier_init(s.full[0], 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(s.full[0], kColumns * 128);
    for (int i = 0; i < kColumns / 64; ++i) tma_load(&s.b[i][0], b, s.full[0], 64 * i, 0);
  }
  sync_block();
  std::uint32_t left[4][4];
  for (int k = 0; k < 4; ++k)
    for (int i = 0; i < 4; ++i) {
      const int row = 16 * warp() + lane() / 4 + 8 * (i % 2), column = 16 * k + lane() % 4 * 2 + 8 * (i / 2);
      std::memcpy(&left[k][i], a + 64 * row + column, 4);
    }
  float d[kColumns / 2];
  for (float& v : d) v = 1000;
  mbarrier_wait(s.full[0], 0);
  wgmma_fence();
  for (int k = 0; k < 4; ++k) {
    wgmma_bf16<kColumns, true>(d, left[k], swizzled_128(&s.b[0][16 * 64 * k], 1024, 64 * 128), true);
    wgmma_commit();
  }
  wgmma_wait<1>();
  for (float v : d)
    if (!std::isnan(v)) executor::fault("accumulators can be read before their last product");
  wgmma_wait<0>();
  for (int e = 0; e < kColumns / 2; ++e)
    c[(16 * warp() + lane() / 4 + 8 * (e % 4 / 2)) * kColumns + e / 4 * 8 + lane() % 4 * 2 + e % 2] = d[e];
}

template <int kColumns>
void check_by_columns() {
  const Matrix a(64, 64), b(64, kColumns);
  const std::vector<float> expected = product(a, b, false, 1000);
  std::vector<float> c(expected.size());
  in_all_orders([&] {
    std::fill(c.begin(), c.end(), NAN);
    launch("by_columns", {dim3(1), dim3(128), sizeof(Transposed<kColumns>)}, by_columns<kColumns>, a.v.data(),
           b.map(64), c.data());
    EXPECT_EQ(c, expected);
  });
}

TEST(Wgmma, RegistersAndATransposedTile) {
  check_by_columns<64>();
  check_by_columns<128>();
  check_by_columns<192>();
}

// A tile that threads wrote themselves, half of it by cp.async, piece by piece where the swizzle wants it.
TEST(Wgmma, TilesThatThreadsWrote) {
  struct alignas(1024) Shared {
    Array<Array<Vec16, 8>, 64> a, b;
  };
  const Matrix a(64, 64), b(64, 64);
  const std::vector<float> expected = product(a, b, true);
  std::vector<float> c(expected.size());
  in_all_orders([&] {
    std::fill(c.begin(), c.end(), NAN);
    launch("written", {dim3(1), dim3(128), sizeof(Shared)}, +[](const bf16* left, const bf16* right, float* to) {
      auto& s = shared<Shared>();
      for (int i = thread(); i < 64 * 8; i += 128) {
        cp_async16(&s.a[i / 8][i % 8 ^ i / 8 % 8], left + 8 * i);
        std::memcpy(&s.b[i / 8][i % 8 ^ i / 8 % 8], right + 8 * i, 16);
      }
      cp_async_commit();
      cp_async_wait<0>();
      fence_async_shared();
      sync_block();
      float d[32];
      wgmma_fence();
      for (unsigned k = 0; k < 4; ++k)
        wgmma_bf16<64>(d, swizzled_128(&s.a[0][0], 1024) + 2 * k, swizzled_128(&s.b[0][0], 1024) + 2 * k, k > 0);
      wgmma_commit();
      wgmma_wait<0>();
      for (int e = 0; e < 32; ++e)
        to[(16 * warp() + lane() / 4 + 8 * (e % 4 / 2)) * 64 + e / 4 * 8 + lane() % 4 * 2 + e % 2] = d[e];
    }, a.v.data(), b.v.data(), c.data());
    EXPECT_EQ(c, expected);
  });
}

// The bits of a descriptor: address / 16 from bit 0, the two strides / 16 from bits 16 and 32, and 1 from bit 62.
TEST(Wgmma, Descriptor) {
  struct alignas(1024) Shared {
    Array<Vec16, 512> v;
  };
  std::vector<std::uint64_t> bits(2);
  launch("descriptor", {dim3(1), dim3(1), sizeof(Shared)}, +[](std::uint64_t* to) {
    auto& s = shared<Shared>();
    to[0] = swizzled_128(&s.v[0], 1024);
    to[1] = swizzled_128(&s.v[2 * 64 + 2], 2048, 8192);
  }, bits.data());
  EXPECT_EQ(bits[0] >> 16, (std::uint64_t{1} << 46) + (64 << 16) + 1);
  EXPECT_EQ(bits[1] - bits[0], (2 * 64 + 2) + (std::uint64_t{511} << 16) + (std::uint64_t{64} << 32));
}

}  // namespace
}  // namespace layercost
