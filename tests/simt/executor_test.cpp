// The executor itself: every planted kernel is found and its right twin is not; what calls return is what the PTX
// manual says. Built with the address sanitizer and with ThreadSanitizer (LAYERCOST_SIMT_RACES).
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <regex.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <random>
#include <vector>

#include "kernels/simt/simt.h"
#include "tests/simt/planted.h"

namespace layercost {
namespace {

using namespace simt;

#if defined(LAYERCOST_SIMT_RACES)
constexpr Found kFoundHere[] = {Found::fault, Found::race};
#else
constexpr Found kFoundHere[] = {Found::fault, Found::address};
#endif

bool contains(const std::string& text, const char* expression) {  // as EXPECT_DEATH does it
  regex_t r;
  if (regcomp(&r, expression, REG_EXTENDED | REG_NOSUB) != 0) return false;
  const bool found = regexec(&r, text.c_str(), 0, nullptr, 0) == 0;
  regfree(&r);
  return found;
}

class PlantedKernel : public testing::TestWithParam<Planted> {};

TEST_P(PlantedKernel, WrongOneIsFound) {
  const Planted& p = GetParam();
  if (p.found == Found::fault) {
    try {
      p.wrong();
      FAIL() << "not found";
    } catch (const Fault& f) {
      EXPECT_TRUE(contains(f.what(), p.text)) << f.what() << "\nexpected: " << p.text;
    }
    p.right();  // and it leaves nothing behind
  } else if (std::count(std::begin(kFoundHere), std::end(kFoundHere), p.found) > 0) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(p.wrong(), p.text);
  }
}

TEST_P(PlantedKernel, RightOneIsNot) {
  for (unsigned order : {0u, 1u, 2u, 3u}) {
    set_order(order);
    GetParam().right();
  }
  set_order(0);
}

INSTANTIATE_TEST_SUITE_P(All, PlantedKernel, testing::ValuesIn(planted()),
                         [](const auto& param) { return std::string(param.param.kernel); });
INSTANTIATE_TEST_SUITE_P(Sm90, PlantedKernel, testing::ValuesIn(planted_sm90()),
                         [](const auto& param) { return std::string(param.param.kernel); });

// Runs f() in each thread of one block.
template <class F>
void one_block(int threads, int shared_bytes, F f) {
  launch(
      "one_block", {dim3(1), dim3(static_cast<unsigned>(threads)), shared_bytes}, +[](F body) { body(); }, f);
}

// ---- calls of a warp ------------------------------------------------------------------------------------------------

class Threads : public testing::TestWithParam<int> {};

TEST_P(Threads, ShufflesAndVotes) {
  const int n = GetParam();
  for (unsigned order : {0u, 1u, 5u}) {
    set_order(order);
    const auto lanes_of = [n](int t) { return std::min(32, n - t / 32 * 32); };
    for (int by = 0; by < 32; ++by) {
      std::vector<int> up(n), down(n), other(n), from(n), half(n);
      std::vector<float> real(n);
      int *up_p = up.data(), *down_p = down.data(), *other_p = other.data(), *from_p = from.data();
      float* real_p = real.data();
      one_block(n, 0, [=] {
        const int t = static_cast<int>(threadIdx.x), v = 1000 + t, lanes = std::min(32, n - t / 32 * 32);
        const bool whole = lanes == 32;
        up_p[t] = shuffle_up(v, by);
        down_p[t] = whole ? shuffle_down(v, by) : 0;
        other_p[t] = whole ? shuffle_xor(v, by) : 0;
        from_p[t] = by < lanes ? shuffle(v, by) : 0;
        real_p[t] = shuffle(0.5f + static_cast<float>(t), 0);
      });
      for (int t = 0; t < n; ++t) {
        const int lane = t % 32, base = 1000 + t - lane;
        EXPECT_EQ(up[t], base + (lane >= by ? lane - by : lane));
        EXPECT_EQ(real[t], 0.5f + static_cast<float>(t - lane));
        if (by < lanes_of(t)) {
          EXPECT_EQ(from[t], base + by);
        }
        if (lanes_of(t) != 32) continue;
        EXPECT_EQ(down[t], base + (lane + by < 32 ? lane + by : lane));
        EXPECT_EQ(other[t], base + (lane ^ by));
      }
    }
    std::vector<std::uint32_t> bits(n);
    std::vector<int> flags(n);
    std::uint32_t* bits_p = bits.data();
    int* flags_p = flags.data();
    one_block(n, 0, [=] {
      const int t = static_cast<int>(threadIdx.x);
      bits_p[t] = ballot(lane() % 3 == 1);
      flags_p[t] = any(t == 33) | all(t < 32) << 1 | any(false) << 2 | all(true) << 3;
    });
    for (int t = 0; t < n; ++t) {
      std::uint32_t expected = 0;
      for (int l = 0; l < lanes_of(t); ++l) expected |= static_cast<std::uint32_t>(l % 3 == 1) << l;
      EXPECT_EQ(bits[t], expected);
      EXPECT_EQ(flags[t], (t / 32 == 1 && n > 33) | (t < 32) << 1 | 1 << 3);
    }
  }
  set_order(0);
}
INSTANTIATE_TEST_SUITE_P(All, Threads, testing::Values(1, 31, 32, 40, 96), testing::PrintToStringParamName());

TEST(Executor, WarpSumAndMax) {
  std::vector<float> sum(64), most(64);
  float *sum_p = sum.data(), *most_p = most.data();
  one_block(64, 0, [=] {
    const auto v = static_cast<float>((threadIdx.x * 37) % 64) - 70;
    sum_p[threadIdx.x] = warp_sum(v);
    most_p[threadIdx.x] = warp_max(v);
  });
  for (int w = 0; w < 2; ++w) {
    float expected = 0, greatest = -1000;
    for (int t = 32 * w; t < 32 * w + 32; ++t) {
      const auto v = static_cast<float>(t * 37 % 64 - 70);
      expected += v;
      greatest = std::max(greatest, v);
    }
    for (int t = 32 * w; t < 32 * w + 32; ++t) {
      EXPECT_EQ(sum[t], expected);
      EXPECT_EQ(most[t], greatest);
    }
  }
}

TEST(Executor, ReduceMaxAndMin) {
  std::vector<int> most(64), least(64);
  int *most_p = most.data(), *least_p = least.data();
  one_block(64, 0, [=] {
    const int v = static_cast<int>((threadIdx.x * 37) % 64) - 40;
    most_p[threadIdx.x] = reduce_max(v);
    least_p[threadIdx.x] = reduce_min(v);
  });
  for (int t = 0; t < 64; ++t) {
    int greatest = -1000, lowest = 1000;
    for (int l = t / 32 * 32; l < t / 32 * 32 + 32; ++l) {
      greatest = std::max(greatest, l * 37 % 64 - 40);
      lowest = std::min(lowest, l * 37 % 64 - 40);
    }
    EXPECT_EQ(most[t], greatest);
    EXPECT_EQ(least[t], lowest);
  }
}

TEST(Executor, Atomics) {
  struct Cells {
    int sum = 0, most = -5, last = -1, owner = -1, old = 0;
    float real = 0;
  } cells;
  Cells* c = &cells;
  std::vector<int> tickets(96);
  int* tickets_p = tickets.data();
  one_block(96, 0, [=] {
    const int t = static_cast<int>(threadIdx.x);
    tickets_p[t] = atomic_add(&c->sum, 1);
    atomic_max(&c->most, t ^ 17);
    atomic_add(&c->real, 0.25f);
    if (t == 40) {
      atomic_exchange(&c->last, 12);
      c->old = atomic_exchange(&c->last, 13);
    }
    atomic_compare_exchange(&c->owner, -1, t);
  });
  std::sort(tickets.begin(), tickets.end());
  for (int t = 0; t < 96; ++t) EXPECT_EQ(tickets[t], t);
  EXPECT_EQ(cells.sum, 96);
  EXPECT_EQ(cells.most, 95);
  EXPECT_EQ(cells.real, 24.0f);
  EXPECT_EQ(cells.last, 13);
  EXPECT_EQ(cells.old, 12);
  EXPECT_EQ(cells.owner, 0);  // in ascending order
}

// Each half of the block counts its own rounds; then both meet.
TEST(Executor, SyncPart) {
  struct Shared {
    Array<Array<int, 64>, 2> step;
  };
  std::vector<int> out(128);
  int* out_p = out.data();
  for (unsigned order : {0u, 1u, 2u}) {
    set_order(order);
    one_block(128, sizeof(Shared), [=] {
      auto& s = shared<Shared>();
      const int part = static_cast<int>(threadIdx.x) / 64, t = static_cast<int>(threadIdx.x) % 64;
      s.step[part][t] = t;
      sync_part(1 + part, 64);
      for (int i = 0; i < 3 + 4 * part; ++i) {
        const int next = s.step[part][(t + 1) % 64];
        sync_part(1 + part, 64);
        s.step[part][t] = next;
        sync_part(1 + part, 64);
      }
      sync_block();
      out_p[threadIdx.x] = s.step[1 - part][t];
    });
    for (int t = 0; t < 64; ++t) {
      EXPECT_EQ(out[t], (t + 7) % 64);
      EXPECT_EQ(out[64 + t], (t + 3) % 64);
    }
  }
  set_order(0);
}

// ---- order ----------------------------------------------------------------------------------------------------------

// Which thread came first, second ... to the start and behind a barrier, over all blocks.
std::vector<int> running_order(unsigned order) {
  std::vector<int> seen(2 * 3 * 64, -1);
  int next = 0;
  set_order(order);
  launch(
      "running_order", {dim3(3), dim3(64), 0},
      +[](int* to, int* at) {
        const int me = 64 * static_cast<int>(blockIdx.x) + static_cast<int>(threadIdx.x);
        to[atomic_add(at, 1)] = me;
        sync_block();
        to[atomic_add(at, 1)] = me;
      },
      seen.data(), &next);
  set_order(0);
  return seen;
}

TEST(Executor, Orders) {
  const std::vector<int> ascending = running_order(0), descending = running_order(1);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(ascending[i], i);
    EXPECT_EQ(descending[i], 191 - i);
  }
  std::vector<std::vector<int>> all = {ascending, descending};
  for (unsigned order = 2; order < 6; ++order) all.push_back(running_order(order));
  for (unsigned i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i], running_order(i)) << "the same number, the same order";
    for (unsigned j = 0; j < i; ++j) EXPECT_NE(all[i], all[j]);
    std::vector<int> once = all[i];
    std::sort(once.begin(), once.end());
    for (int t = 0; t < 2 * 192; ++t) EXPECT_EQ(once[t], t / 2);
  }
  bool blocks_differ = false;  // a shuffled order is not the same one in each block
  for (int i = 0; i < 64; ++i) blocks_differ |= all[2][i] % 64 != all[2][128 + i] % 64;
  EXPECT_TRUE(blocks_differ);
  EXPECT_FALSE(std::equal(all[2].begin(), all[2].begin() + 64, ascending.begin()));
}

TEST(Executor, GridsOfThreeAxes) {
  std::vector<int> seen(2 * 3 * 4);
  launch(
      "grid", {dim3(2, 3, 4), dim3(1), 0},
      +[](int* to) {
        to[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] += 1 + static_cast<int>(blockDim.x);
      },
      seen.data());
  for (int v : seen) EXPECT_EQ(v, 2);
}

// What suspended threads hold when a launch fails is destroyed, and the next launch starts clean.
TEST(Executor, FaultUnwindsTheOthers) {
  static int alive = 0;
  struct Counted {
    std::vector<int> memory = std::vector<int>(100);
    Counted() { atomic_add(&alive, 1); }
    ~Counted() { atomic_add(&alive, -1); }
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(one_block(64, 0,
                           [] {
                             const Counted c;
                             if (threadIdx.x == 50) executor::fault("on purpose");
                             sync_block();
                           }),
                 Fault);
    EXPECT_EQ(alive, 0);
    one_block(64, 0, [] { sync_block(); });
  }
}

// A block finds neither zeros nor what the one before it left.
TEST(Executor, SharedMemoryStartsAsNaN) {
  struct Shared {
    Array<float, 8> v;
  };
  std::vector<float> seen(16);
  launch(
      "nan", {dim3(2), dim3(8), sizeof(Shared)},
      +[](float* to) {
        to[8 * blockIdx.x + threadIdx.x] = shared<Shared>().v[static_cast<int>(threadIdx.x)];
        shared<Shared>().v[static_cast<int>(threadIdx.x)] = 1;
      },
      seen.data());
  for (float v : seen) EXPECT_TRUE(std::isnan(v));
}

TEST(Executor, CopiesArriveInGroups) {
  struct Shared {
    Array<Vec16, 32> row;
  };
  std::vector<Vec16> from(32), out(32);
  for (unsigned i = 0; i < 32; ++i) from[i] = {{i, 100 + i, 200 + i, 300 + i}};
  const Vec16* from_p = from.data();
  Vec16* out_p = out.data();
  one_block(8, sizeof(Shared), [=] {
    auto& s = shared<Shared>();
    const int t = static_cast<int>(threadIdx.x);
    for (int i = 0; i < 4; ++i) {  // row 8 i + 7 is not valid: zeros, and its source is not read
      const bool valid = t != 7;
      cp_async16(&s.row[8 * i + t], valid ? from_p + 8 * i + t : nullptr, valid);
      cp_async_commit();
    }
    cp_async_wait<2>();
    for (int i = 0; i < 2; ++i) out_p[8 * i + t] = s.row[8 * i + t];
    cp_async_commit();  // an empty group counts too
    cp_async_wait<2>();
    out_p[16 + t] = s.row[16 + t];
    cp_async_wait<0>();
    out_p[24 + t] = s.row[24 + t];
  });
  for (unsigned i = 0; i < 32; ++i)
    for (unsigned w = 0; w < 4; ++w) EXPECT_EQ(out[i].word[w], i % 8 == 7 ? 0u : 100 * w + i);
}

#if !defined(LAYERCOST_SIMT_RACES)
// Fibres against one thread that does the work of all of them in a loop: the ratio is 1.1. With a fake stack for each
// fibre (detect_stack_use_after_return), 37 us, it is 18.
TEST(Executor, FibresCostLittle) {
  constexpr int kThreads = 256, kBlocks = 64;
  std::vector<int> out(kThreads);
  int* out_p = out.data();
  const auto work = [out_p](int t) {
    int sums[8] = {};  // in memory, as the index is not known: what a fake stack is made for
    for (int i = 0; i < 1000; ++i) sums[(t + i * i) % 8] += i;
    out_p[t] = sums[t % 8];
  };
  const auto processor_s = [](int threads, auto body) {  // which does not count who else uses the machine
    const std::clock_t begin = std::clock();
    launch(
        "fibres", {dim3(kBlocks), dim3(static_cast<unsigned>(threads)), 0}, +[](decltype(body) f) { f(); }, body);
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  double fibres_s = INFINITY, loop_s = INFINITY;
  for (int turn = 0; turn < 5; ++turn) {
    fibres_s = std::min(fibres_s, processor_s(kThreads, [=] {
                          sync_block();
                          work(static_cast<int>(threadIdx.x));
                          sync_block();
                        }));
    loop_s = std::min(loop_s, processor_s(1, [=] {
                        sync_block();
                        for (int t = 0; t < kThreads; ++t) work(t);
                        sync_block();
                      }));
  }
  EXPECT_LT(fibres_s, 4 * loop_s) << "fibres take " << fibres_s / loop_s << " times what a loop takes";
}
#endif

// ---- matrices, against the index formulas of the PTX manual ---------------------------------------------------------

// ldmatrix: "each thread of a warp loads a fragment of a row": thread t of matrix i gets row t / 4, elements
// 2 (t % 4) and 2 (t % 4) + 1. With .trans the matrix is read in column-major order.
TEST(Executor, LoadMatrix) {
  struct Shared {
    Array<Array<bf16, 24>, 40> row;  // rows of 48 bytes: 16-byte aligned, and no two on the same bank
  };
  std::vector<std::uint32_t> out(32 * 12);
  std::uint32_t* out_p = out.data();
  one_block(32, sizeof(Shared), [=] {
    auto& s = shared<Shared>();
    const int t = lane();
    for (int i = t; i < 40 * 24; i += 32)
      s.row[i / 24][i % 24] = bf16{static_cast<std::uint16_t>(i / 24 * 100 + i % 24)};
    sync_block();
    std::uint32_t r[4], q[2];
    ldmatrix_x4(r, &s.row[t + 3][8]);
    for (int i = 0; i < 4; ++i) out_p[12 * t + i] = r[i];
    ldmatrix_x4_trans(r, &s.row[t + 3][8]);
    for (int i = 0; i < 4; ++i) out_p[12 * t + 4 + i] = r[i];
    ldmatrix_x2(q, t < 16 ? &s.row[t + 3][8] : nullptr);  // the addresses of lanes 16 .. 31 are not used
    for (int i = 0; i < 2; ++i) out_p[12 * t + 8 + i] = q[i];
    ldmatrix_x2_trans(q, t < 16 ? &s.row[t + 3][8] : nullptr);
    for (int i = 0; i < 2; ++i) out_p[12 * t + 10 + i] = q[i];
  });
  const auto at = [](int matrix, int row, int column) {
    return static_cast<std::uint32_t>((8 * matrix + row + 3) * 100 + column + 8);
  };
  for (int t = 0; t < 32; ++t)
    for (int i = 0; i < 4; ++i) {
      const int row = t / 4, column = t % 4 * 2;
      const std::uint32_t straight = at(i, row, column) | at(i, row, column + 1) << 16;
      const std::uint32_t transposed = at(i, column, row) | at(i, column + 1, row) << 16;
      EXPECT_EQ(out[12 * t + i], straight);
      EXPECT_EQ(out[12 * t + 4 + i], transposed);
      if (i >= 2) continue;
      EXPECT_EQ(out[12 * t + 8 + i], straight);
      EXPECT_EQ(out[12 * t + 10 + i], transposed);
    }
}

// One product of bit patterns: A row by row [16][k], B column by column [8][k], d [16][8]. Fragments as in "Matrix
// Fragments for mma.m16n8k16 with floating point type" (two elements in a register) and "... for mma.m16n8k32" (four).
struct Fragments {
  int per_register;
  int depth() const { return 8 * per_register; }
  // Element i (0 .. 4 per_register - 1) of A: groupID and threadID_in_group as the manual names them.
  int a_row(int lane, int i) const {
    const int group = lane >> 2, e = per_register;
    const bool first = (0 <= i && i < e) || (2 * e <= i && i < 3 * e);
    return first ? group : group + 8;
  }
  int a_column(int lane, int i) const {
    const int e = per_register;
    return (lane & 3) * e + (i & (e - 1)) + (i >= 2 * e ? 4 * e : 0);
  }
  int b_row(int lane, int i) const {
    const int e = per_register;
    return (lane & 3) * e + (i & (e - 1)) + (i >= e ? 4 * e : 0);
  }
  static int b_column(int lane) { return lane >> 2; }
  static int c_row(int lane, int i) { return (lane >> 2) + (i < 2 ? 0 : 8); }
  static int c_column(int lane, int i) { return (lane & 3) * 2 + (i & 1); }
};

template <class Multiply>
std::vector<float> product(const Fragments& f, const std::vector<unsigned>& a, const std::vector<unsigned>& b,
                           const std::vector<float>& c, Multiply multiply) {
  struct Lane {
    std::uint32_t a[4] = {}, b[2] = {};
    float d[4];
  };
  std::vector<Lane> lanes(32);
  const int e = f.per_register, bits = 32 / e, depth = f.depth();
  for (int l = 0; l < 32; ++l) {
    for (int i = 0; i < 4 * e; ++i)
      lanes[l].a[i / e] |= a[f.a_row(l, i) * depth + f.a_column(l, i)] << (bits * (i % e));
    for (int i = 0; i < 2 * e; ++i) lanes[l].b[i / e] |= b[f.b_column(l) * depth + f.b_row(l, i)] << (bits * (i % e));
    for (int i = 0; i < 4; ++i) lanes[l].d[i] = c[f.c_row(l, i) * 8 + f.c_column(l, i)];
  }
  Lane* p = lanes.data();
  one_block(32, 0, [=] {
    Lane mine = p[lane()];
    multiply(mine.d, mine.a, mine.b);
    p[lane()] = mine;
  });
  std::vector<float> d(16 * 8);
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 4; ++i) d[f.c_row(l, i) * 8 + f.c_column(l, i)] = lanes[l].d[i];
  return d;
}

// sign x 2^(exponent - bias) x (1 + mantissa / 2^bits), subnormals, and what the format says of its last exponent.
double decode(unsigned bits, int exponent_bits, int mantissa_bits, bool has_infinity) {
  const int most = (1 << exponent_bits) - 1, bias = most / 2;
  const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  const int exponent = static_cast<int>(bits) >> mantissa_bits & most;
  const double sign = (bits >> (exponent_bits + mantissa_bits) & 1) != 0 ? -1 : 1;
  if (exponent == most && has_infinity) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == most && mantissa == (1 << mantissa_bits) - 1) return NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

struct Format {
  const char* name;
  Fragments fragments;
  int exponent_bits, mantissa_bits;
  bool has_infinity;
  void (*multiply)(float (&)[4], const std::uint32_t (&)[4], const std::uint32_t (&)[2]);
  double value(unsigned bits) const { return decode(bits, exponent_bits, mantissa_bits, has_infinity); }
  unsigned patterns() const { return 2u << (exponent_bits + mantissa_bits); }
};

class Mma : public testing::TestWithParam<Format> {};

TEST_P(Mma, IsTheProduct) {
  const Format& format = GetParam();
  const int depth = format.fragments.depth();
  std::mt19937 random(7);
  for (int round = 0; round < 4; ++round) {
    std::vector<unsigned> a(16 * depth), b(8 * depth);
    std::vector<float> c(16 * 8);
    const auto draw = [&] {  // finite, of a size that keeps the float sum within 1e-5 of the double one
      for (;;) {
        const unsigned bits = random() % format.patterns();
        const double v = std::fabs(format.value(bits));
        if (v > 0.01 && v < 100) return bits;
      }
    };
    for (unsigned& v : a) v = draw();
    for (unsigned& v : b) v = draw();
    for (float& v : c) v = static_cast<float>(random() % 1000) / 8;
    const std::vector<float> d = product(format.fragments, a, b, c, format.multiply);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        double expected = c[row * 8 + column], size = std::fabs(expected);
        for (int k = 0; k < depth; ++k) {
          const double term = format.value(a[row * depth + k]) * format.value(b[column * depth + k]);
          expected += term;
          size += std::fabs(term);
        }
        EXPECT_NEAR(d[row * 8 + column], expected, 1e-5 * size) << row << ", " << column;
      }
  }
}

// Every bit pattern of the type, as an element of A and of B, times 1: the pattern's value comes out alone.
TEST_P(Mma, EveryValue) {
  const Format& format = GetParam();
  const int depth = format.fragments.depth();
  const unsigned one = ((1u << (format.exponent_bits - 1)) - 1) << format.mantissa_bits;
  ASSERT_EQ(format.value(one), 1);
  const auto check = [&](float d, unsigned bits) {
    const double v = format.value(bits);
    if (std::isnan(v)) EXPECT_TRUE(std::isnan(d)) << bits;
    else EXPECT_EQ(d, static_cast<float>(v)) << bits;
  };
  for (unsigned base = 0; base < format.patterns(); base += 8) {
    // Row r of A is the pattern base + r % 8 at k = r, column c of B a 1 at k = c and k = c + 8: d[r][r % 8] = value.
    std::vector<unsigned> a(16 * depth), b(8 * depth);
    for (unsigned r = 0; r < 16; ++r) a[r * depth + r] = base + r % 8;
    for (unsigned c = 0; c < 8; ++c) b[c * depth + c] = b[c * depth + c + 8] = one;
    const bool special = !std::isfinite(format.value(base)) || !std::isfinite(format.value(base + 7));
    std::vector<float> d = product(format.fragments, a, b, std::vector<float>(128), format.multiply);
    for (unsigned r = 0; r < 16; ++r) check(d[r * 8 + r % 8], base + r % 8);
    // What is not finite times 0 is NaN: it spreads over its row, and only there.
    for (unsigned r = 0; special && r < 16; ++r)
      EXPECT_EQ(std::isnan(d[r * 8 + (r + 1) % 8]), !std::isfinite(format.value(base + r % 8)));
    std::vector<unsigned> left(16 * depth), right(8 * depth);
    for (unsigned r = 0; r < 8; ++r) left[r * depth + r] = one;
    for (unsigned c = 0; c < 8; ++c) right[c * depth + c] = base + c;
    d = product(format.fragments, left, right, std::vector<float>(128), format.multiply);
    for (unsigned r = 0; r < 8; ++r) check(d[r * 8 + r], base + r);
  }
}

void PrintTo(const Format& f, std::ostream* to) { *to << f.name; }

const Format kFormats[] = {
    {"bf16", {2}, 8, 7, true, [](auto& d, auto& a, auto& b) { mma_bf16(d, a, b); }},
    {"f16", {2}, 5, 10, true, [](auto& d, auto& a, auto& b) { mma_f16(d, a, b); }},
    {"e4m3", {4}, 4, 3, false, [](auto& d, auto& a, auto& b) { mma_e4m3(d, a, b); }},
};
INSTANTIATE_TEST_SUITE_P(All, Mma, testing::ValuesIn(kFormats),
                         [](const auto& param) { return std::string(param.param.name); });

// ---- types ----------------------------------------------------------------------------------------------------------

TEST(Types, Fp8RoundsToNearestEven) {
  // By the definition: 4 bits of exponent (bias 7), 3 of mantissa, 127 is NaN.
  const auto value = [](int code) {
    const int exponent = code >> 3, mantissa = code & 7;
    return exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1 + mantissa / 8.0, exponent - 7);
  };
  for (int code = 0; code < 127; ++code) {
    const auto bits = static_cast<std::uint8_t>(code), minus = static_cast<std::uint8_t>(code | 128);
    EXPECT_EQ(to_float(fp8_e4m3{bits}), value(code));
    EXPECT_EQ(to_float(fp8_e4m3{minus}), -value(code));
    EXPECT_EQ(to_fp8_e4m3(static_cast<float>(value(code))).bits, bits);
    EXPECT_EQ(to_fp8_e4m3(static_cast<float>(-value(code))).bits, minus);
    if (code == 126) break;
    const auto middle = static_cast<float>((value(code) + value(code + 1)) / 2);
    EXPECT_EQ(to_fp8_e4m3(middle).bits, code + code % 2);
    EXPECT_EQ(to_fp8_e4m3(std::nextafter(middle, 0.0f)).bits, code);
    EXPECT_EQ(to_fp8_e4m3(std::nextafter(middle, 1e9f)).bits, code + 1);
  }
  EXPECT_EQ(to_fp8_e4m3(1e30f).bits, 126);
  EXPECT_EQ(to_fp8_e4m3(-INFINITY).bits, 254);
  EXPECT_EQ(to_fp8_e4m3(NAN).bits, 127);
  EXPECT_TRUE(std::isnan(to_float(fp8_e4m3{127})) && std::isnan(to_float(fp8_e4m3{255})));
}

TEST(Types, Bf16RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(as_float(0x3f808000)).bits, 0x3f80);  // half way, down to even
  EXPECT_EQ(to_bf16(as_float(0x3f818000)).bits, 0x3f82);  // half way, up to even
  EXPECT_EQ(to_bf16(as_float(0x3f808001)).bits, 0x3f81);
  EXPECT_EQ(to_bf16(as_float(0x7f7fffff)).bits, 0x7f80);  // beyond the greatest: infinity
  EXPECT_EQ(to_bf16(-0.0f).bits, 0x8000);
  EXPECT_EQ(to_bf16(NAN).bits, 0x7fff);
  const std::uint32_t two = pack(1.5f, -2.0f);
  EXPECT_EQ(two, 0xc0003fc0u);
  EXPECT_EQ(unpack(two).lo, 1.5f);
  EXPECT_EQ(unpack(two).hi, -2.0f);
}

}  // namespace
}  // namespace layercost
