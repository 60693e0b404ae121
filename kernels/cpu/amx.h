// What:    AMX, the processor's tile registers: who may use them, their shapes, and attributes of functions that do.
// Rules:   functions that use tiles carry LAYERCOST_AMX or LAYERCOST_AMX_AVX512: by attribute, not by compiler flags,
//          because with flags inline functions of shared headers would be compiled for AVX-512 too, and the linker may
//          keep that copy for everybody. Lambdas do not inherit it.
//          A thread's tiles have the shapes of the TileScope it holds, and nothing in them outlives it.
//          GCC 12's tile loads do not tell the compiler that they read memory: stored() stands between plain stores
//          and a tile load of what they wrote.
// Units:   bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/runtime/runtime.h"

#if defined(__x86_64__)
// GCC 12 warns of an uninitialised operand inside the plain AVX-512 intrinsics (PR 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#include <sys/syscall.h>
#include <unistd.h>

#define LAYERCOST_AMX __attribute__((target("amx-tile,amx-bf16")))
#define LAYERCOST_AMX_INLINE __attribute__((target("amx-tile,amx-bf16"), always_inline))
#define LAYERCOST_AMX_AVX512 __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace layercost {

#if defined(__x86_64__)

// Linux gives a process the tile registers when it asks (since 5.16).
inline bool amx_granted() {
  static const bool granted = [] {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return granted;
}

inline bool has_amx_avx512(const DeviceInfo& d) { return d.cpu.amx_bf16 && d.cpu.avx512_bf16 && amx_granted(); }

// Up to 16 rows of up to 64 bytes in each of eight registers; the layout is the processor's.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};

  void set(int tile, std::int64_t tile_rows, std::int64_t tile_row_bytes) {
    rows[tile] = static_cast<std::uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<std::uint16_t>(tile_row_bytes);
  }
};

class TileScope {
 public:
  LAYERCOST_AMX explicit TileScope(const TileShapes& shapes) {
    asm volatile("" : : "m"(shapes));  // GCC 12 believes that the next line reads eight bytes
    _tile_loadconfig(&shapes);
  }
  LAYERCOST_AMX ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

  static void stored() { asm volatile("" : : : "memory"); }
};

#else

inline bool has_amx_avx512(const DeviceInfo&) { return false; }

#endif

}  // namespace layercost
