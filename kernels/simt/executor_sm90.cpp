// What:    tma_load and wgmma of the executor: which bytes go where, and the products.
// Source:  NVIDIA, "Parallel Thread Execution ISA" 9.0: "Tensor Data", "Asynchronous Warpgroup Level Matrix
//          Instructions"; "CUDA Driver API" 13.0: cuTensorMapEncodeTiled.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/simt/sm90_executor.h"

// As in executor_matrix.cpp: 64 x 256 x 16 multiply-adds on arrays of fixed size.
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))

namespace layercost {
namespace {

constexpr char kMapMark[8] = {'b', 'f', '1', '6', 'm', 'a', 'p', '\0'};
constexpr int kRefused = 1;  // the device runtime's "invalid value"
constexpr int kRowBytes = 128;

bool in(std::int64_t v, std::int64_t least, std::int64_t most) { return v >= least && v <= most; }
bool is_stride(std::int64_t bytes) { return bytes % 16 == 0 && in(bytes, 16, (std::int64_t{1} << 40) - 1); }

}  // namespace

int make_tensor_map(TensorMap* map, const MatrixShape& m) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 32;
  const bool valid =
      m.base != nullptr && reinterpret_cast<std::uintptr_t>(m.base) % 16 == 0 && in(m.columns, 1, kMostElements) &&
      in(m.rows, 1, kMostElements) && in(m.slices, 1, kMostElements) && is_stride(m.row_stride_bytes) &&
      is_stride(m.slice_stride_bytes) && m.box_columns * 2 == kRowBytes && in(m.box_rows, 1, 256);
  if (!valid) return kRefused;
  std::memset(map, 0, sizeof *map);
  static_assert(sizeof kMapMark + sizeof m <= sizeof *map);
  std::memcpy(map->bytes, kMapMark, sizeof kMapMark);
  std::memcpy(map->bytes + sizeof kMapMark, &m, sizeof m);
  return 0;
}

namespace simt {
namespace executor {

void tma_load(void* to, const TensorMap& map, const Mbarrier* b, int x, int y, int z) {
  if (std::memcmp(map.bytes, kMapMark, sizeof kMapMark) != 0)
    fault("tma_load by a TensorMap that make_tensor_map did not make");
  MatrixShape m;
  std::memcpy(&m, map.bytes + sizeof kMapMark, sizeof m);
  static Piece pieces[256 * kRowBytes / 16];
  for (int row = 0; row < m.box_rows; ++row)
    for (int i = 0; i < kRowBytes / 16; ++i) {
      Piece& piece = pieces[kRowBytes / 16 * row + (i ^ row % 8)];
      piece = {nullptr, 0, 0};
      const std::int64_t column = std::int64_t{x} + 8 * i, from_row = std::int64_t{y} + row;
      if (!in(from_row, 0, m.rows - 1) || !in(z, 0, m.slices - 1)) continue;
      piece.begin = static_cast<int>(2 * std::clamp<std::int64_t>(-column, 0, 8));
      piece.end = static_cast<int>(2 * std::clamp<std::int64_t>(m.columns - column, 0, 8));
      if (piece.begin >= piece.end) continue;
      piece.from = static_cast<const std::byte*>(m.base) + from_row * m.row_stride_bytes + 2 * column +
                   z * m.slice_stride_bytes;
    }
  bring(static_cast<std::byte*>(to), pieces, m.box_rows * kRowBytes / 16, b);
}

// ---- operands in shared memory --------------------------------------------------------------------------------------

std::uint64_t swizzled_128(const void* p, int stride_bytes, int columns_stride_bytes) {
  for (int stride : {stride_bytes, columns_stride_bytes})
    if (stride < 0 || stride >= 1 << 18 || stride % 16 != 0)
      fault("a descriptor with a stride of " + std::to_string(stride) + " bytes");
  return static_cast<std::uint64_t>((shared_address(p) & 0x3ffff) >> 4) |
         static_cast<std::uint64_t>(columns_stride_bytes >> 4) << 16 |
         static_cast<std::uint64_t>(stride_bytes >> 4) << 32 | std::uint64_t{1} << 62;
}

namespace {

constexpr int kRows = 64, kDepth = 16, kMostColumns = 256;

// 16 columns of a tile of `rows` rows; or its transpose, 16 rows of a tile of `rows` columns.
class Tile {
 public:
  Tile(std::uint64_t descriptor, int rows, bool by_columns, const char* which)
      : start_(field(descriptor, 0)),
        leading_(field(descriptor, 16)),
        stride_(field(descriptor, 32)),
        rows_(rows),
        by_columns_(by_columns) {
    const auto refuse = [&](const std::string& what) {
      fault("the descriptor of " + std::string(which) + " of a wgmma " + what);
    };
    if (descriptor >> 62 != 1) refuse("is not of the 128-byte swizzle");
    if ((descriptor & 0x3fffc000c000c000u) != 0) refuse("has bits set that mean nothing, or a base offset");
    // The swizzle counts rows from 1024-byte boundaries; another first row needs a base offset, which nothing here has.
    if (start_ / kRowBytes % 8 != 0) refuse("does not start in the first row of a group of 8");
    if (start_ % kRowBytes + (by_columns ? kRowBytes : 2 * kDepth) > kRowBytes) refuse("leaves its rows of 128 bytes");
  }

  int pieces() const { return rows_ * 2; }
  // Row-wise: piece i is columns 8 (i % 2) .. of row i / 2. By columns: 8 of the rows_ columns of row i / (rows_ / 8).
  std::uint32_t address(int i) const {
    std::uint32_t at = start_;
    if (by_columns_) {
      const auto row = static_cast<std::uint32_t>(i / (rows_ / 8)),
                 column = static_cast<std::uint32_t>(i % (rows_ / 8));
      at += row / 8 * stride_ + row % 8 * kRowBytes + column / 8 * leading_ + column % 8 * 16;
    } else {
      const auto row = static_cast<std::uint32_t>(i / 2);
      at += row / 8 * stride_ + row % 8 * kRowBytes + static_cast<std::uint32_t>(i % 2) * 16;
    }
    return at ^ (at >> 3 & 0x70);
  }
  // As pieces, one after the other.
  std::vector<std::uint16_t> gather() const {
    std::vector<std::uint16_t> v(static_cast<std::size_t>(8 * pieces()));
    for (int i = 0; i < pieces(); ++i)
      std::memcpy(&v[static_cast<std::size_t>(8 * i)], product_reads(address(i), false), 16);
    return v;
  }
  void announce(int first, int end) const {
    for (int i = first; i < end; ++i) product_reads(address(i), true);
  }

 private:
  static std::uint32_t field(std::uint64_t descriptor, int bit) {
    return static_cast<std::uint32_t>(descriptor >> bit & 0x3fff) << 4;
  }
  std::uint32_t start_, leading_, stride_;
  int rows_;
  bool by_columns_;
};

// ---- products -------------------------------------------------------------------------------------------------------

// The accumulators of a warp group while products that add to them are under way.
struct Sum {
  float* d[128];  // of each thread
  int columns, products;
  std::vector<float> values;  // [64][columns]
};

struct Product {
  std::shared_ptr<Sum> sum;
  int group;
  bool add, by_columns;
  std::uint64_t a, b;  // descriptors
  bool a_in_registers;
  std::vector<std::uint16_t> left, right;  // as the tiles were when it was called
  Tile a_tile() const { return Tile(a, kRows, false, "a"); }
  Tile b_tile() const { return Tile(b, sum->columns, by_columns, "b"); }
};

struct WarpGroup {
  bool fenced = false;
  int open_group = 0;
  std::vector<Product> products;  // in the order of their calls
};
WarpGroup groups[8];
WarpGroup& my_group() { return groups[threadIdx.x / 128]; }

UNCHECKED float widened(std::uint16_t bits) {
  const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
  float v;
  std::memcpy(&v, &word, 4);
  return v;
}

using Four = float __attribute__((vector_size(16)));

// d[64][columns] += left[64][16] right, in the order of k. right: [columns][16], or [16][columns] by columns.
UNCHECKED void multiply_add(float* d, int columns, const std::uint16_t* left, const std::uint16_t* right,
                            bool by_columns) {
  alignas(16) static float wide[kDepth][kMostColumns];
  for (int k = 0; k < kDepth; ++k)
    for (int c = 0; c < columns; ++c) wide[k][c] = widened(by_columns ? right[k * columns + c] : right[c * kDepth + k]);
  for (int row = 0; row < kRows; ++row) {
    float a[kDepth];
    for (int k = 0; k < kDepth; ++k) a[k] = widened(left[row * kDepth + k]);
    for (int c = 0; c < columns; c += 16) {
      float* at = d + row * columns + c;
      Four sum[4];
      std::memcpy(sum, at, sizeof sum);
      for (int k = 0; k < kDepth; ++k)
        for (int i = 0; i < 4; ++i) sum[i] += a[k] * *reinterpret_cast<const Four*>(&wide[k][c + 4 * i]);
      std::memcpy(at, sum, sizeof sum);
    }
  }
}

// Where element e of thread t's accumulators lies in [64][columns].
UNCHECKED int place_of(int t, int e, int columns) {
  const int lane = t % 32;
  return (t / 32 * 16 + lane / 4 + e % 4 / 2 * 8) * columns + e / 4 * 8 + lane % 4 * 2 + e % 2;
}

constexpr std::uint32_t kUnderWay = 0xffffffffu;  // NaN

std::shared_ptr<Sum> begin_sum(void* const (&d)[128], int columns) {
  auto s = std::make_shared<Sum>();
  s->columns = columns;
  s->products = 0;
  s->values.resize(static_cast<std::size_t>(kRows * columns));
  for (int t = 0; t < 128; ++t) {
    s->d[t] = static_cast<float*>(d[t]);
    for (int e = 0; e < columns / 2; ++e)
      std::memcpy(&s->values[static_cast<std::size_t>(place_of(t, e, columns))], &s->d[t][e], 4);
    std::memset(s->d[t], 0xff, static_cast<std::size_t>(columns / 2) * 4);
  }
  return s;
}

void end_sum(const Sum& s, int first_thread) {
  for (int t = 0; t < 128; ++t)
    for (int e = 0; e < s.columns / 2; ++e) {
      std::uint32_t bits;
      std::memcpy(&bits, &s.d[t][e], 4);
      if (bits != kUnderWay)
        fault("thread " + std::to_string(first_thread + t) + " wrote to accumulators of a wgmma under way");
      s.d[t][e] = s.values[static_cast<std::size_t>(place_of(t, e, s.columns))];
    }
}

void compute(Product& p) {
  const auto changed = [](const std::vector<std::uint16_t>& was, const Tile& tile) {
    const std::vector<std::uint16_t> is = tile.gather();
    return std::memcmp(is.data(), was.data(), 2 * is.size()) != 0;
  };
  if ((!p.a_in_registers && changed(p.left, p.a_tile())) || changed(p.right, p.b_tile()))
    fault("shared memory changed while a wgmma that reads it is under way");
  Sum& s = *p.sum;
  if (!p.add) std::fill(s.values.begin(), s.values.end(), 0.0f);
  multiply_add(s.values.data(), s.columns, p.left.data(), p.right.data(), p.by_columns);
}

struct Call {  // of one thread
  float* d;
  const std::uint32_t* a_registers;
  std::uint64_t a, b;
  bool add, by_columns;
  int columns;
};

void begin_product(void* const (&all)[128]) {
  WarpGroup& g = my_group();
  if (!g.fenced) fault("wgmma without wgmma_fence() since the start or the last wgmma_wait");
  const Call& first = *static_cast<const Call*>(all[0]);
  Product p;
  p.add = first.add;
  p.by_columns = first.by_columns;
  p.a = first.a;
  p.b = first.b;
  p.a_in_registers = first.a_registers != nullptr;
  p.group = g.open_group;
  void* d[128];
  for (int t = 0; t < 128; ++t) {
    const Call& c = *static_cast<const Call*>(all[t]);
    d[t] = c.d;
    if (c.a != p.a || c.b != p.b || c.add != p.add || c.columns != first.columns || c.by_columns != p.by_columns ||
        (c.a_registers != nullptr) != p.a_in_registers)
      fault("thread " + std::to_string(t) + " of its warp group calls wgmma with other arguments than thread 0");
  }
  for (const Product& before : g.products)
    if (before.sum->d[0] == d[0]) p.sum = before.sum;
  if (p.sum == nullptr) {
    p.sum = begin_sum(d, first.columns);
  } else {
    for (int t = 0; t < 128; ++t)
      if (p.sum->d[t] != d[t] || p.sum->columns != first.columns)
        fault("thread " + std::to_string(t) +
              " of its warp group calls wgmma with accumulators of another shape than "
              "those under way");
  }
  ++p.sum->products;
  if (p.a_in_registers) {
    // a[i]: row lane / 4, and 8 further for odd i; k = 2 (lane % 4) .., and 8 further for i >= 2.
    p.left.resize(kRows * kDepth);
    for (int t = 0; t < 128; ++t)
      for (int i = 0; i < 4; ++i) {
        const int row = t / 32 * 16 + t % 32 / 4 + i % 2 * 8, k = t % 4 * 2 + i / 2 * 8;
        std::memcpy(&p.left[static_cast<std::size_t>(row * kDepth + k)],
                    &static_cast<const Call*>(all[t])->a_registers[i], 4);
      }
  } else {
    p.left = p.a_tile().gather();
  }
  p.right = p.b_tile().gather();
  g.products.push_back(std::move(p));
}

// To ThreadSanitizer, by one lane of each warp: what the warp reads, its own 16 rows of a, and b.
void announce(const std::uint64_t* a, const Tile& b) {
  const int first = warp() % 4 * 32;
  if (a != nullptr) Tile(*a, kRows, false, "a").announce(first, first + 32);
  b.announce(0, b.pieces());
}

}  // namespace

void begin_products() {
  for (WarpGroup& g : groups) g = WarpGroup{};
}

bool products_under_way(int thread) { return !groups[thread / 128].products.empty(); }

void wgmma_fence(Caller caller) {
  together_group("wgmma_fence", caller, nullptr, [](void* const(&)[128]) { my_group().fenced = true; });
}

void wgmma_commit(Caller caller) {
  together_group("wgmma_commit", caller, nullptr, [](void* const(&)[128]) { ++my_group().open_group; });
}

void wgmma_wait(int pending, Caller caller) {
  if (lane() == 0)
    for (const Product& p : my_group().products)
      if (p.group < my_group().open_group - pending) announce(p.a_in_registers ? nullptr : &p.a, p.b_tile());
  together_group(
      "wgmma_wait", caller, &pending,
      [](void* const(&all)[128]) {
        WarpGroup& g = my_group();
        if (!g.products.empty() && g.products.back().group == g.open_group) fault("wgmma_wait before wgmma_commit()");
        const int end = g.open_group - *static_cast<const int*>(all[0]);
        std::size_t n = 0;
        for (; n < g.products.size() && g.products[n].group < end; ++n) {
          Product& p = g.products[n];
          compute(p);
          if (--p.sum->products == 0) end_sum(*p.sum, static_cast<int>(threadIdx.x) / 128 * 128);
        }
        g.products.erase(g.products.begin(), g.products.begin() + static_cast<std::ptrdiff_t>(n));
        g.fenced = false;
      },
      true);
}

void wgmma(int columns, bool by_columns, float* d, const std::uint32_t* a_registers, std::uint64_t a, std::uint64_t b,
           bool add, Caller caller) {
  Call mine{d, a_registers, a, b, add, by_columns, columns};
  if (lane() == 0) announce(a_registers != nullptr ? nullptr : &a, Tile(b, columns, by_columns, "b"));
  together_group("wgmma", caller, &mine, begin_product);
}

void registers(const char* name, int count, Caller caller) {
  if (count < 24 || count > 256 || count % 8 != 0) fault(std::string(name) + " of " + std::to_string(count));
  together_group(name, caller, nullptr, [](void* const(&)[128]) {});
}

}  // namespace executor
}  // namespace simt
}  // namespace layercost
